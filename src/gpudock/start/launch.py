"""What the system's Python is given. Installed as hook.py and runtime.py, beside the package, in a folder of root's:

/usr/bin/python3 -I -S -E -B -X utf8 FOLDER/hook.py --plan FILE

This file is compiled at each start, so what it does is elsewhere. The folder is the one behind links: an upgrade in the
middle must not mix versions.
"""

import gc
import os
import sys

gc.disable()  # too short a life to need it, and loading code would set it off

folder, _, file = os.path.realpath(__file__).rpartition("/")
found = os.stat(folder)
# In a user namespace the machine's root is nobody.
if found.st_mode & 0o022 or found.st_uid not in {0, os.geteuid(), 65534}:
    os.write(2, f"gpudock: {folder} can be changed by others than root\n".encode())
    os._exit(1)
sys.path.insert(0, folder)

try:
    from entry import run  # type: ignore[import-not-found]  # beside this file, not in a package
except Exception as error:  # noqa: BLE001  no traceback: runtimes show it to the user
    line = f"gpudock: {folder} is not usable: {error}. To mend it: sudo gpudock refresh".replace('"', "'")
    os.write(2, line.encode() + b"\n")
    if file == "runtime.py" and sys.argv[5:6] > [""]:  # the file of --log
        with open(sys.argv[5], "a", encoding="utf-8") as log:
            log.write('{"level":"error","msg":"' + line + '"}\n')
    os._exit(1)

os._exit(run(folder, file[:-3]))  # taking the interpreter down in order costs 1.5 ms, and there is nothing to flush
