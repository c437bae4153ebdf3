"""What a person sees while waiting."""

import time

_started = time.monotonic()


def say(text: str, *, last: bool = False) -> None:
    """Print a line, after the seconds since the start; the last line stands alone."""
    print(text if last else f"{time.monotonic() - _started:5.0f} s  {text}", flush=True)
