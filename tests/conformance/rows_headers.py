"""Headers in both directions, compression, CORS, and what a socket may send."""

from __future__ import annotations

import gzip
from typing import Any

from .table import Raw, Rest

M = "/v1/models/half_plus_two"
BODY = '{"instances": [1.0]}'
ANSWER = {"predictions": [3.5]}
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
NO_CORS = dict.fromkeys(CORS)


def _post(
    row_id: str, headers: dict[str, str] | None = None, body: str | bytes = BODY, **options: Any
) -> Rest:
    return Rest(id=row_id, rule="2.2", path=f"{M}:predict", headers=headers, body=body, **options)


def _options(row_id: str, origin: str | None, status: int, server: str = "plain") -> Rest:
    return Rest(
        id=row_id,
        rule="2.2",
        method="OPTIONS",
        path=f"{M}:predict",
        headers={"Origin": origin} if origin is not None else {},
        status=status,
        text=("",),
        json=None,
        content_type=None,
        answer_headers=CORS if server == "flags" else {},
        server=server,
    )


def _raw(row_id: str, rule: str, sent: str, statuses: list[int], **options: Any) -> Raw:
    return Raw(id=row_id, rule=rule, sent=sent.replace("\n", "\r\n").encode(), statuses=statuses, **options)


HEAD = f"POST {M}:predict HTTP/1.1\nHost: h\n"
LENGTH = f"Content-Length: {len(BODY)}\n"

ROWS = (
    _post("no-content-type", {}, json=ANSWER),
    _post("any-content-type", {"Content-Type": "text/plain; charset=latin-1"}, json=ANSWER),
    _post("form-content-type", {"Content-Type": "application/x-www-form-urlencoded"}, json=ANSWER),
    _post("accept-is-ignored", {"Accept": "text/html", "Accept-Encoding": "gzip"}, json=ANSWER,
          answer_headers={"Content-Encoding": None}),
    _post("gzip-body", {"Content-Encoding": "gzip"}, gzip.compress(BODY.encode()), json=ANSWER),
    _post("gzip-among-encodings", {"Content-Encoding": "identity, gzip"}, gzip.compress(BODY.encode()),
          json=ANSWER),
    _post("bad-gzip-body", {"Content-Encoding": "gzip"}, b"this is no gzip", status=400, confirmed=False),
    _post("cut-gzip-body", {"Content-Encoding": "gzip"}, gzip.compress(b" " * 9999 + BODY.encode())[:-12],
          status=400, confirmed=False),
    _post("gzip-over-100-mib-when-inflated", {"Content-Encoding": "gzip"},
          gzip.compress(b" " * 104_857_601 + BODY.encode(), 1), status=400, confirmed=False),
    _post("upper-case-gzip-is-not-gzip", {"Content-Encoding": "GZIP"}, BODY, json=ANSWER),
    _post("unknown-encoding-is-not-looked-at", {"Content-Encoding": "br"}, BODY, json=ANSWER),
    _post("no-cors-headers-without-the-flag", {"Origin": "http://page"}, json=ANSWER, answer_headers=NO_CORS),
    _post("cors-headers-on-an-answer", {"Origin": "http://page"}, body="{", status=400, answer_headers=CORS,
          server="flags"),
    Rest(id="cors-headers-on-status", rule="2.2", method="GET", path=M, answer_headers=CORS, server="flags"),
    Rest(id="errors-are-json-whatever-is-accepted", rule="2.3", method="GET", path="/v1/models/nope",
         headers={"Accept": "text/plain"}, status=404, error=("Could not find any versions of model nope",)),
    _options("preflight-with-origin", "http://page", 200),
    _options("preflight-with-https-origin", "https://page", 200),
    _options("preflight-without-origin", None, 400),
    _options("preflight-with-a-foreign-origin", "null", 400),
    _options("preflight-with-the-flag", "http://page", 200, "flags"),
    _raw("chunked-body", "2.10",
         f"{HEAD}Transfer-Encoding: chunked\n\n8\n{BODY[:8]}\n{len(BODY) - 8:x}\n{BODY[8:]}\n0\n\n",
         [200], text=("3.5",), confirmed=False),
    _raw("expect-100-continue", "2.10", f"{HEAD}{LENGTH}Expect: 100-continue\n\n{BODY}", [100, 200],
         confirmed=False),
    _raw("one-connection-for-several-requests", "2.10", f"{HEAD}{LENGTH}\n{BODY}" * 3, [200, 200, 200],
         confirmed=False),
    _raw("a-refused-request-does-not-end-the-connection", "2.10",
         f"{HEAD}Content-Length: 1\n\n{{{HEAD}{LENGTH}\n{BODY}", [400, 200], confirmed=False),
    _raw("http-1-0", "2.10", f"POST {M}:predict HTTP/1.0\n{LENGTH}\n{BODY}", [200], text=("3.5",),
         confirmed=False),
    _raw("no-body-at-all", "2.4", f"{HEAD}Content-Length: 0\n\n", [400],
         text=("JSON Parse error: The document is empty",)),
    _raw("post-without-length", "2.4", f"{HEAD}Connection: close\n\n", [400],
         text=("JSON Parse error: The document is empty",)),
)  # fmt: skip
