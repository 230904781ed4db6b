"""Fibers in gdb: `source tools/gdb/souk-fibers.py`, on a live process or a core file.

    souk-fibers             lists all fibers: id, name, state, what each waits for
    souk-fiber-bt ID|all    the backtrace of a parked fiber (it starts below gdb's frame #0)

A parked fiber's registers lie on its stack where switch.S has put them. The backtrace is made by
an unwinder that claims the fiber to be the caller of frame #0, so nothing in the process changes.
Other processors than x86_64 and aarch64 get the list only.
"""

import gdb
from gdb.unwinder import Unwinder, register_unwinder

STATES = {
    "TASK_RUNNABLE": "runnable",
    "TASK_RUNNING": "running",
    "TASK_PARKED": "parked",
    "TASK_ENDED": "ended",
}

# As pushed by switch.S: register -> offset from the saved stack pointer; then the frame's size.
LAYOUTS = {
    "x86_64": (
        {"r15": 8, "r14": 16, "r13": 24, "r12": 32, "rbx": 40, "rbp": 48, "rip": 56}, 64, "rsp"),
    "aarch64": (
        dict([("x%d" % n, 64 + 8 * (n - 19)) for n in range(19, 31)] + [("pc", 152)]), 160, "sp"),
}


def tasks():
    loop = gdb.parse_and_eval("souk_last_loop")
    if int(loop) == 0:
        raise gdb.GdbError("no loop in this process")
    scheduler = loop.dereference()["scheduler"]
    for slot in range(int(scheduler["slot_count"])):
        task = scheduler["slots"][slot].dereference()
        if str(task["state"]) in STATES:
            yield task


def describe(task):
    waits_for = task["waits_for"]
    text = '%6d  %-31s  %-8s' % (
        int(task["serial"]), task["name"].string(), STATES[str(task["state"])])
    if int(waits_for) != 0:
        text += "  " + waits_for.string()
    if task["cancelled"]:
        text += "  (cancelled)"
    return text


def layout():
    name = gdb.selected_frame().architecture().name()
    return LAYOUTS["x86_64" if "x86-64" in name else name] if (
        "x86-64" in name or name in LAYOUTS) else None


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class ParkedUnwinder(Unwinder):
    """Off unless `sp` is set."""

    def __init__(self):
        super().__init__("souk-parked-fiber")
        self.sp = None

    def __call__(self, pending):
        if self.sp is None or pending.level() != 0:
            return None
        offsets, size, sp_name = self.layout
        word = gdb.lookup_type("unsigned long")
        info = pending.create_unwind_info(
            FrameId(gdb.Value(self.sp).cast(word), gdb.Value(0).cast(word)))
        for register, offset in offsets.items():
            where = gdb.Value(self.sp + offset).cast(word.pointer())
            info.add_saved_register(
                register, where.dereference().cast(pending.read_register(register).type))
        info.add_saved_register(
            sp_name, gdb.Value(self.sp + size).cast(pending.read_register(sp_name).type))
        return info

    def backtrace(self, task):
        gdb.newest_frame().select()
        self.layout = layout()
        if not self.layout or "sp" not in [f.name for f in task["point"].type.fields()]:
            raise gdb.GdbError("no backtraces of fibers on this processor")
        self.sp = int(task["point"]["sp"])
        gdb.invalidate_cached_frames()
        try:
            gdb.execute("backtrace")
        finally:
            self.sp = None
            gdb.invalidate_cached_frames()


unwinder = ParkedUnwinder()
register_unwinder(None, unwinder, replace=True)


class ListFibers(gdb.Command):
    """List the fibers of the process's loop."""

    def __init__(self):
        super().__init__("souk-fibers", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for task in tasks():
            print(describe(task))


class BacktraceFiber(gdb.Command):
    """Show the backtrace of a fiber that is not running: souk-fiber-bt ID|all."""

    def __init__(self):
        super().__init__("souk-fiber-bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        wanted = argument.strip()
        found = False
        for task in tasks():
            if wanted not in ("all", str(int(task["serial"]))):
                continue
            found = True
            print(describe(task))
            if str(task["state"]) in ("TASK_RUNNABLE", "TASK_PARKED"):
                unwinder.backtrace(task)
        if not found:
            raise gdb.GdbError("usage: souk-fiber-bt ID|all, with an id from souk-fibers")


ListFibers()
BacktraceFiber()
