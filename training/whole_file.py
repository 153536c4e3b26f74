"""Writing a file so that it is there whole or not at all, whatever happens meanwhile."""

import os
import secrets
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write beside the path, bring it to the disk, and rename; raises OSError, and then leaves nothing."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # Not mkstemp, whose mode keeps other users out: the umask decides.
        with partial.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
