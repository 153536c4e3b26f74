"""Control: a bare ASGI endpoint that parses the JSON of a request with orjson and answers it; no model.

python server.py --rest-port PORT
"""

import argparse
from typing import Any

import orjson
import uvicorn


async def application(_scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a request with the JSON that came."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = orjson.dumps(orjson.loads(body))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rest-port", type=int, required=True)
    port = parser.parse_known_args()[0].rest_port
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        interface="asgi3",
        log_level="error",
        access_log=False,
    )


if __name__ == "__main__":
    main()
