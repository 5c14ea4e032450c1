"""The core of a status page in Python: one channel with two audiences. Members see who has changed what; visitors see the
change alone, and lose the channel when the page becomes private.

    status_core.py [PORT [PAGE]]     unless given: a port that the system picks, examples/status-core.html
    GET /                            PAGE; with #token-olga behind it the page is that member's. With a member's bearer token:
    POST /services    form: service, status     tells all open pages
    POST /visibility  form: public=yes|no       asks the rule again about all clients; answers when that has ended
"""
import logging
import pathlib
import sys

import pusherc

MEMBERS = {"token-olga": "olga", "token-max": "max"}  # stands for a look-up in a database


class StatusPage:
    def __init__(self, port: int, page: bytes) -> None:
        self.page = page
        self.public = True
        self.server = pusherc.Server([pusherc.App("app-id", "app-key", "app-secret", auth="rules")],
                                     [pusherc.Listen(port)])
        self.server.identify(self.who)
        self.server.http(self.serve)
        # What visitors do not see of an event. It costs no Python when one is published.
        views = {"member": None, "visitor": pusherc.Without("by")}
        self.server.channel("status.page", kinds="public", views=views)(self.decide)

    def who(self, question: pusherc.IdentifyRequest) -> pusherc.Identity | None:
        member = MEMBERS.get(question.bearer or "")
        return pusherc.Identity(member) if member else None

    def decide(self, question: pusherc.Question) -> pusherc.Grant:
        if question.user_id is not None:
            return pusherc.Grant(view="member")
        if self.public:
            return pusherc.Grant(view="visitor")
        raise pusherc.Deny("This page is for members")

    async def serve(self, request: pusherc.HttpRequest) -> pusherc.Response:
        if (request.method, request.path) == ("GET", "/"):
            return pusherc.Response(self.page, headers={"Content-Type": "text/html; charset=utf-8"})
        by = MEMBERS.get(request.bearer or "")
        if by is None:
            return pusherc.Response("Who are you?\n", 401)
        match request.method, request.path:
            case "POST", "/services":
                event = {"service": request.form("service"), "status": request.form("status"), "by": by}
                self.server.publish("status.page", "changed", event)
                return pusherc.Response("Told\n")
            case "POST", "/visibility":
                self.public = request.form("public") == "yes"
                # What is published after this reaches no visitor of a private page. Waiting is for the count.
                kept, revoked = await self.server.reauthorize(pattern="status.page")
                return pusherc.Response(f"kept {kept}, revoked {revoked}\n")
            case _:
                return pusherc.Response("Not here\n", 404)


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    file = sys.argv[2] if len(sys.argv) > 2 else str(pathlib.Path(__file__).with_name("status-core.html"))
    page = StatusPage(port, pathlib.Path(file).read_bytes())
    page.server.run(started=lambda: print(f"listening on http://127.0.0.1:{page.server.port}", flush=True))


if __name__ == "__main__":
    main()
