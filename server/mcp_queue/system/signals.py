"""Signals as a program that is started from a shell has them: none blocked, none ignored.

Both cross ``exec``, so without this a host's own habits would reach the programs of users: with
SIGCHLD ignored no exit status is known, with SIGTERM blocked nothing can be asked to stop.
"""

from __future__ import annotations

import signal
import sys

HANGUP = frozenset({signal.SIGHUP}) if sys.platform != "win32" else frozenset[int]()
"""Ignored on purpose by who starts a program with nohup."""


def make_ordinary(*, keep: frozenset[int] = frozenset()) -> None:
    """Unblock every signal, and give those that are ignored their default action.

    Except those in ``keep``, and SIGPIPE and SIGXFSZ, which Python ignores and resets in children.
    """
    if sys.platform == "win32":
        return
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    spared = {signal.SIGPIPE, signal.SIGXFSZ, *keep}
    for number in signal.valid_signals():
        if number not in spared and signal.getsignal(number) == signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)
