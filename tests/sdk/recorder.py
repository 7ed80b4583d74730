"""Stands between clients and the gateway and notes what each call was answered; it changes nothing.

The first three steps of a path name the call (`/client/upstream/case/v1/…`) and go no further: every SDK lets its
address have a path, and none of them shows headers in the same way.
"""

import http.client
import http.server
import threading
import urllib.parse

HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Recorder:
    def __init__(self, target):
        self.seen = {}
        self.target = urllib.parse.urlsplit(target).netloc
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.forward(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def forward(self, handler):
        _, client, upstream, case, path = handler.path.split("/", 4)
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in HOP | {"host"}}
        # The answer goes on as it comes; compressed bytes would only hide what a refusal says.
        headers["accept-encoding"] = "identity"
        connection = http.client.HTTPConnection(self.target, timeout=30)
        connection.request("POST", "/" + path, body, headers)
        answer = connection.getresponse()
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                handler.send_header(name, value)
        handler.end_headers()
        text = b""
        while piece := answer.read1(65536):
            text += piece
            handler.wfile.write(piece)
            handler.wfile.flush()
        connection.close()
        losses = [loss for loss in (answer.headers["x-sluicegate-loss"] or "").split("; ") if loss]
        call = {"status": answer.status, "losses": losses, "refusal": text.decode() if answer.status in (400, 501) else ""}
        self.seen.setdefault((client, upstream, case), []).append(call)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
