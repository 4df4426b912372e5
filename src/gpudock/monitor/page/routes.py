"""What the page needs of a web server: its files, under / and /page/."""

from typing import TYPE_CHECKING

from gpudock.monitor.page import files

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute


def routes() -> "list[BaseRoute]":
    from starlette.responses import PlainTextResponse, Response  # noqa: PLC0415  only who serves has it
    from starlette.routing import Route  # noqa: PLC0415

    known = files.read()

    async def file(request: "Request") -> "Response":
        found = known.get(request.path_params.get("path", files.INDEX))
        if found is None:
            return PlainTextResponse("There is no such file.\n", 404, headers=files.HEADERS)
        headers = {**files.HEADERS, "ETag": found.tag}
        if request.headers.get("If-None-Match") == found.tag:
            return Response(status_code=304, headers=headers)
        return Response(found.body, headers=headers, media_type=found.kind)

    return [Route("/", file), Route("/page/{path:path}", file)]
