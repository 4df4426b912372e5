"""What the system's Python is given. Installed as hook.py and runtime.py, beside the package, in a folder of root's:

/usr/bin/python3 -I -S -E -B -X utf8 FOLDER/hook.py --plan FILE

It is compiled at each start, so what it does is in entry.py. `posix` is what `os` is made of, and sooner loaded.
"""

import gc
import marshal
import posix
import sys

gc.disable()  # too short a life to need it, and loading code would set it off
place, _, file = __file__.rpartition("/")
try:
    opened = posix.open(place or ".", posix.O_PATH | posix.O_DIRECTORY)
    folder = posix.readlink(f"/proc/self/fd/{opened}")  # behind links: an upgrade in the middle must not mix versions
    found = posix.fstat(opened)
    posix.close(opened)
    # In a user namespace the machine's root is nobody.
    if found.st_mode & 0o022 or found.st_uid not in {0, posix.geteuid(), 65534}:
        raise OSError("it can be changed by others than root")  # noqa: TRY301
    codes: "dict[str, object]" = {}
    entry: "dict[str, object]" = {}
    try:
        with open(f"{folder}/{file[:-3]}.frozen", "rb") as frozen:  # see refresh/freeze.py
            data = frozen.read()
        if data.endswith(sys.modules["_frozen_importlib_external"].MAGIC_NUMBER):  # made for this very Python
            codes = dict(marshal.loads(data))  # noqa: S302  from root's folder, as the sources
            exec(codes.pop("entry"), entry)  # type: ignore[arg-type]  # noqa: S102
    except (FileNotFoundError, EOFError, TypeError, ValueError, KeyError):  # cut off by a full disk
        codes = {}
    if not codes:
        sys.path.insert(0, folder)
        entry = vars(__import__("entry"))
except Exception as error:  # noqa: BLE001  no traceback: runtimes show it to the user
    line = f"gpudock: {place} is not usable: {error}. To mend it: sudo gpudock refresh".replace('"', "'")
    posix.write(2, line.encode() + b"\n")
    if file == "runtime.py" and sys.argv[5:6] > [""]:  # the file of --log
        with open(sys.argv[5], "a", encoding="utf-8") as log:
            log.write('{"level":"error","msg":"' + line + '"}\n')
    posix._exit(1)  # noqa: SLF001

posix._exit(entry["run"](codes, file[:-3]))  # type: ignore[operator]  # noqa: SLF001  an end in order takes 1.5 ms
