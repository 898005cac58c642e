"""A server of recommendations over HTTP: ``diffrec serve``, or :class:`Server` within a program.

Needs FastAPI and uvicorn: ``pip install 'diffrec[serve]'``.
"""

try:
    from diffrec.serving.app import application
    from diffrec.serving.server import Server
except ModuleNotFoundError as error:
    raise ImportError(f'serving needs FastAPI and uvicorn: pip install "diffrec[serve]" ({error})') from error

__all__ = ["Server", "application"]
