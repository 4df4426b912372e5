"""What a CDI specification names as the hook. Installed as hook.py beside the package, in a folder that root owns:

/usr/bin/python3 -I -S -E -B -X utf8 FOLDER/hook.py --plan FILE
"""

import os
import sys


def run() -> int:
    """Loads the hook from this file's own folder, behind links: an upgrade in the middle must not mix versions."""
    folder = os.path.dirname(os.path.realpath(__file__))
    try:
        if os.stat(folder).st_mode & 0o022:
            raise PermissionError(f"{folder} can be written by others than its owner")  # noqa: TRY301
        sys.path.insert(0, folder)
        from gpudock.start.hook import main  # noqa: PLC0415  it is found only now
    except Exception as error:  # noqa: BLE001  no traceback: runtimes show it to the user
        os.write(2, f"gpudock-hook: not usable: {error}".replace("\n", " ").encode(errors="replace")[:4095] + b"\n")
        return 1
    return main(sys.argv[1:])


if __name__ == "__main__":
    os._exit(run())  # taking the interpreter down in order costs 1.5 ms, and there is nothing to flush
