"""The most memory that a script has held, for scripts that tests start."""

#: Defines ``peak()``, in bytes. ``ru_maxrss`` would count what the process was forked from, a whole test run, as well.
OWN_PEAK = """
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
"""
