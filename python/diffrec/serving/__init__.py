"""A server of recommendations over HTTP: ``diffrec serve``, or :class:`Server` within a program.

Needs FastAPI and uvicorn: ``pip install 'diffrec[serve]'``.
"""

from diffrec.serving.app import application
from diffrec.serving.server import Server

__all__ = ["Server", "application"]
