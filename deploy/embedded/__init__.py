"""The embedded stack: real servers from PyPI wheels on 127.0.0.1, state in one folder, no root, no Docker."""
