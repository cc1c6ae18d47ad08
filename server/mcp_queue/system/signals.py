"""Reset signals to the state of a program started from a shell: none blocked, none ignored.

Blocked and ignored signals are inherited through ``exec``. Without the reset, settings of a host
would affect users' programs: with SIGCHLD ignored, exit statuses are lost; with SIGTERM blocked, a
program cannot be asked to stop.
"""

from __future__ import annotations

import signal
import sys

HANGUP = frozenset({signal.SIGHUP}) if sys.platform != "win32" else frozenset[int]()
"""The signal that nohup lets a program ignore."""


def make_ordinary(*, keep: frozenset[int] = frozenset()) -> None:
    """Unblock all signals, and reset ignored signals to their default action.

    Signals in ``keep`` stay ignored, and so do SIGPIPE and SIGXFSZ: Python itself ignores these and
    resets them in children.
    """
    if sys.platform == "win32":
        return
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    spared = {signal.SIGPIPE, signal.SIGXFSZ, *keep}
    for number in signal.valid_signals():
        if number not in spared and signal.getsignal(number) == signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)
