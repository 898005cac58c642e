"""Load test of ``diffrec serve`` on the loopback, beside the model called in this process.

    python -m benches.serving                              10 s at each of 1, 8, 64 clients, then 10 minutes of 8
    python -m benches.serving --seconds 5 --soak 120       shorter
    python -m benches.serving --model model.diffrec        a model of your own

Every client keeps one connection and asks for the list of another user as soon as it has an answer, so that a request a
second is one that was answered. Prints medians, 99th percentiles, requests a second, errors, and the server's memory
along the long run, in which the model is loaded anew now and then. Exits with 1 where a request failed, an answer was
not the model's, or memory grew by more than a tenth after the first quarter of the long run.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import diffrec

K = 20


class Load(NamedTuple):
    """What some clients saw: seconds of each request, how long all took, and how many failed."""

    seconds: list[float]
    took: float
    failed: int

    def __str__(self) -> str:
        middle, late = np.percentile(self.seconds, [50, 99]) * 1e3
        rate = len(self.seconds) / self.took
        return f"p50 {middle:7.2f} ms  p99 {late:7.2f} ms  {rate:8.0f} requests/s  {self.failed} failed"


class Client:
    """One connection to the server, kept open."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> "Client":
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, path: str, values: object) -> tuple[int, bytes]:
        body = json.dumps(values).encode()
        head = ("Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}")
        self._writer.write("\r\n".join((f"POST /{path} HTTP/1.1", *head, "\r\n")).encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return int(answer[9:12]), await self._reader.readexactly(length)


async def load(port: int, users: list[object], clients: int, seconds: float, reload_every: float = 0) -> Load:
    """Let some clients ask for so long."""
    ends, taken, failed = time.perf_counter() + seconds, [], 0

    async def one(seed: int) -> None:
        nonlocal failed
        draws = random.Random(seed)
        async with Client(port) as client:
            while time.perf_counter() < ends:
                started = time.perf_counter()
                status, _ = await client.ask("recommend", {"user": draws.choice(users), "k": K})
                taken.append(time.perf_counter() - started)
                failed += status != 200

    async def reloading() -> None:
        nonlocal failed
        while time.perf_counter() + reload_every < ends:
            await asyncio.sleep(reload_every)
            # Anew each time: a server closes connections that say nothing for seconds.
            async with Client(port) as client:
                failed += (await client.ask("reload", {}))[0] != 200

    started = time.perf_counter()
    await asyncio.gather(*(one(seed) for seed in range(clients)), *([reloading()] if reload_every else []))
    return Load(taken, time.perf_counter() - started, failed)


async def same_answers(port: int, model: diffrec.Recommender, users: list[object]) -> bool:
    """Whether the server says what the model says, asked for many users at once."""
    top = model.recommend(users, k=K)

    async def one(place: int) -> bool:
        async with Client(port) as client:
            said = json.loads((await client.ask("recommend", {"user": users[place], "k": K}))[1])
        items, scores = top[place][1:]
        return bool(np.allclose(said["scores"], scores, rtol=1e-4, atol=1e-5)) and said["items"] == items.tolist()

    return all(await asyncio.gather(*map(one, range(len(users)))))


def bare(model: diffrec.Recommender, users: list[object], block: int, seconds: float) -> Load:
    """The model called in this process, for so many users at once."""
    ends, taken, draws = time.perf_counter() + seconds, [], random.Random(0)
    started = time.perf_counter()
    while time.perf_counter() < ends:
        asked = draws.choices(users, k=block)
        begun = time.perf_counter()
        model.recommend(asked, k=K)
        taken += [time.perf_counter() - begun] * block
    return Load(taken, time.perf_counter() - started, 0)


def memory(process: int) -> float:
    """Resident memory of a process, in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a saved model; by default EASE of a generated world")
    parser.add_argument("--users", type=int, default=6000, help="of the generated world")
    parser.add_argument("--items", type=int, default=3000, help="of the generated world")
    parser.add_argument("--variant", default="ease", help="what is fitted on the generated world")
    parser.add_argument("--clients", default="1,8,64")
    parser.add_argument("--seconds", type=float, default=10, help="at each number of clients")
    parser.add_argument("--soak", type=float, default=600, help="seconds of the long run; 0 for none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = options.model or Path(folder) / "model.diffrec"
        if options.model is None:
            world = diffrec.datasets.synthetic(users=options.users, items=options.items, seed=0)
            diffrec.fit(world, variant=options.variant).save(file)
        model = diffrec.load(file)
        users = model.train_.users.ids.tolist()
        print(f"{model!r}, {model.train_.shape[0]:,} users, {model.train_.shape[1]:,} items, k={K}")
        for block in (1, 8, 64, 512):
            print(f"bare model, {block:4} users a call   {bare(model, users, block, options.seconds / 2)}", flush=True)
        command = [sys.executable, "-m", "diffrec", "serve", str(file), "--port", "0", "--quiet"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().rstrip("/\n").rpartition(":")[2])
            agree = asyncio.run(same_answers(port, model, users[:256]))
            print("the server's answers are the model's" if agree else "the server's answers are NOT the model's")
            fine = agree
            for clients in map(int, options.clients.split(",")):
                found = asyncio.run(load(port, users, clients, options.seconds))
                fine &= found.failed == 0
                print(f"server, {clients:4} clients            {found}  {memory(server.pid):.0f} MB", flush=True)
            held, done = [], 0
            for quarter in range(4 if options.soak else 0):
                found = asyncio.run(load(port, users, 8, options.soak / 4, reload_every=options.soak / 40))
                held.append(memory(server.pid))
                fine, done = fine and found.failed == 0, done + len(found.seconds)
                print(f"long run, quarter {quarter + 1}, 8 clients   {found}  {held[-1]:.0f} MB", flush=True)
            if held:
                print(f"{done:,} requests in {options.soak:.0f} s; memory {held[0]:.0f} MB, then {held[-1]:.0f} MB")
                fine &= held[-1] < 1.1 * held[0]
        finally:
            server.terminate()
            server.wait()
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
