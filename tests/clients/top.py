"""Uses `vidette top` in a pseudo terminal, as somebody at a keyboard would, and prints what the
screen showed as one JSON line.

    top.py VIDETTE ADMIN look      groups, a project's page, another size, q
    top.py VIDETTE ADMIN away      where nobody listens
    top.py VIDETTE ADMIN SIGNAL    TERM, HUP or INT while it shows something
    top.py VIDETTE ADMIN plain     without colours (NO_COLOR)

Of each: the exit code, and whether the terminal was given back as it was.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

# A hang guard for each wait on the screen.
WAIT_S = 60

# The speed of what comes in, which a terminal that is none has not: setting any mode writes it.
CIBAUD = 0x100F0000

CONTROL = re.compile(r"\x1b\[([?]?)([0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>78]")


class Screen:
    """What a terminal of this size shows of what is written to it."""

    def __init__(self, width, height):
        self.resize(width, height)
        self.written = ""
        self.rest = ""

    def resize(self, width, height):
        self.width, self.height = width, height
        self.row = self.column = 0
        self.clear()

    def clear(self):
        self.cells = [[" "] * self.width for _ in range(self.height)]

    def write(self, text):
        self.written += text
        text = self.rest + text
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                control = CONTROL.match(text, at)
                if control is None:
                    # Its end is still to come.
                    break
                self.control(*control.groups(default=""))
                at = control.end()
                continue
            self.print(text[at])
            at += 1
        self.rest = text[at:]

    def control(self, private, numbers, kind):
        if private:
            return
        numbers = [int(number) if number else 1 for number in numbers.split(";")] if numbers else []
        if kind == "H":
            row, column = (numbers + [1, 1])[:2] if numbers else (1, 1)
            self.row, self.column = row - 1, column - 1
        elif kind == "J":
            self.clear()

    def print(self, letter):
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self.row += 1
        elif self.row < self.height and self.column < self.width:
            self.cells[self.row][self.column] = letter
            self.column += 1

    def lines(self):
        return ["".join(row).rstrip() for row in self.cells]


def modes(terminal):
    told = termios.tcgetattr(terminal)
    told[2] &= ~CIBAUD
    return told


class Program:
    """It runs, and its screen is read."""

    def __init__(self, arguments, environment, width=80, height=24):
        self.screen = Screen(width, height)
        # The terminal is opened here too, so that it can be looked at when the program has gone.
        master, terminal = pty.openpty()
        self.terminal, self.master = terminal, master
        self.size(width, height)
        self.before = modes(terminal)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(master)
            os.login_tty(terminal)
            os.execvpe(arguments[0], arguments, environment)
        self.code = None

    def size(self, width, height):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width, height):
        self.screen.resize(width, height)
        self.size(width, height)

    def read(self, patience):
        ready, _, _ = select.select([self.master], [], [], patience)
        if ready:
            self.screen.write(os.read(self.master, 65536).decode("utf-8", "replace"))
        return bool(ready)

    def shows(self, pattern, but=None):
        """Waits until a line fits, and no line fits what must be gone; yields all lines."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            # A screen that is half drawn says what nobody means: only one at rest is looked at.
            while self.read(0.1):
                pass
            lines = self.screen.lines()
            seen = any(re.search(pattern, line) for line in lines)
            if seen and not (but and any(re.search(but, line) for line in lines)):
                return lines
        raise SystemExit(f"{pattern!r} is never shown:\n" + "\n".join(self.screen.lines()))

    def press(self, keys):
        os.write(self.master, keys.encode())

    def ends(self):
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0.1):
                    pass
                return {
                    "code": os.waitstatus_to_exitcode(status),
                    "restored": modes(self.terminal) == self.before,
                    "left": self.screen.written.rfind("\x1b[?1049l")
                    > self.screen.written.rfind("\x1b[?1049h")
                    >= 0,
                    "cursor": self.screen.written.rfind("\x1b[?25h")
                    > self.screen.written.rfind("\x1b[?25l"),
                }
        os.kill(self.pid, signal.SIGKILL)
        raise SystemExit("it does not end")


    def loses_its_terminal(self):
        """Whether it ends once nobody has the other end, as when a connection by ssh breaks off."""
        os.close(self.terminal)
        os.close(self.master)
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                return {"ended": True}
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        return {"ended": False}


def look(program):
    told = {"first": program.shows(r"^project 7 |^7 ")}
    program.press("k")
    told["keys"] = program.shows(r"^a94a\.\.\. ", but="asking")
    program.press("o")
    told["bytes"] = program.shows("most bytes first", but="asking")
    # The first was refused by its head, and so is of no project that could be shown.
    program.press("j")
    program.press("\r")
    told["page"] = program.shows(r"^error ")
    program.press("\x1b")
    program.shows(r"by key")
    program.resize(40, 12)
    told["narrow"] = program.shows(r"^a94a\.\.\. .*%$")
    program.press("q")
    return told


def away(program):
    told = {"first": program.shows("trying again")}
    program.press("\x03")
    return told


def plain(program):
    program.shows("^7 ")
    program.press("q")
    return {}


def main():
    vidette, admin, scene = sys.argv[1:]
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    if scene == "plain":
        environment["NO_COLOR"] = "1"
    program = Program([vidette, "top", "--every", "1s", "--admin", admin], environment)
    try:
        print(json.dumps(told(program, scene)))
    except BaseException:
        # Nobody else would end it.
        os.kill(program.pid, signal.SIGKILL)
        raise


def told(program, scene):
    scenes = {"look": look, "away": away, "plain": plain}
    if scene == "gone":
        program.shows("^7 ")
        return program.loses_its_terminal()
    if scene in scenes:
        said = scenes[scene](program)
    else:
        program.shows("^7 ")
        os.kill(program.pid, getattr(signal, f"SIG{scene}"))
        said = {}
    said |= program.ends()
    said["coloured"] = bool(re.search(r"\x1b\[(3[0-7]|9[0-7]|38;|[0-9;]*38;5;)", program.screen.written))
    return said


main()
