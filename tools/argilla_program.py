"""What runs in the review server's own environment: Argilla's command line with a search engine that osmem can serve.

Run by `tools.review_server` with the Python of `.venv-argilla`, never imported by the project. osmem updates documents
by parts but knows no scripts, and Argilla sends scripts where a response comes or goes. Here such a change is worked
out first and sent as a part. Pictures are kept out of the index, which nobody searches for them.
"""

import ctypes
import os
import signal
import sys
from typing import Any

from argilla_server.search_engine import SearchEngine
from argilla_server.search_engine.commons import es_index_name_for_dataset
from argilla_server.search_engine.opensearch import OpenSearchEngine

ENGINE = "osmem"


@SearchEngine.register(engine_name=ENGINE)
class OsmemEngine(OpenSearchEngine):
    """Argilla's own engine for OpenSearch without its scripts."""

    async def update_record_response(self, response: Any) -> None:
        """Put a response in the place of its former self."""
        await self._replace(response, [self._map_record_response_to_es(response)])

    async def delete_record_response(self, response: Any) -> None:
        """Take a response away."""
        await self._replace(response, [])

    async def _replace(self, response: Any, by: list[dict[str, Any]]) -> None:
        index, key = es_index_name_for_dataset(response.record.dataset), str(response.record.id)
        document = (await self.client.get(index=index, id=key))["_source"]
        others = [one for one in document.get("responses") or [] if str(one["id"]) != str(response.id)]
        await self._update_document_request(index, key, {"doc": {"responses": others + by}})

    async def delete_record_suggestion(self, suggestion: Any) -> None:
        """Take a suggestion away; a whole document goes back, since a part cannot leave out a key."""
        index, key = es_index_name_for_dataset(suggestion.record.dataset), str(suggestion.record_id)
        document = (await self.client.get(index=index, id=key))["_source"]
        (document.get("suggestions") or {}).pop(suggestion.question.name, None)
        await self.client.index(index=index, id=key, body=document, refresh=True)

    @classmethod
    def _map_record_fields_to_es(cls, fields: dict[str, Any], dataset_fields: Any) -> dict[str, Any]:
        pictures = {field.name for field in dataset_fields if field.is_image}
        rest = {name: value for name, value in fields.items() if name not in pictures}
        mapped: dict[str, Any] = super()._map_record_fields_to_es(rest, dataset_fields)
        return mapped


def redis(port: int) -> None:
    """A Redis made of Python, for where there is no real one."""
    from fakeredis import TcpFakeServer

    TcpFakeServer(("127.0.0.1", port)).serve_forever()


def serve(port: int) -> None:
    """Bring the database and the index up to date, then serve; forks do what comes first, and share the imports."""
    from argilla_server.cli import app

    user = ["--password", os.environ["REVIEW_PASSWORD"], "--api-key", os.environ["REVIEW_API_KEY"]]
    for words in (
        ["database", "migrate"],
        # Secrets come by the environment: a process's arguments can be read by everybody on the machine.
        ["database", "users", "create_default", "--quiet", *user],
        ["search-engine", "reindex"],
    ):
        child = os.fork()
        if not child:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it ends with this process
            app(words)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            raise SystemExit(f"{' '.join(words[:2])} failed")
    app(["start", "--host", "127.0.0.1", "--port", str(port), "--no-access-log"])


def main() -> None:
    """`redis PORT` or `serve PORT`."""
    {"redis": redis, "serve": serve}[sys.argv[1]](int(sys.argv[2]))


if __name__ == "__main__":
    main()
