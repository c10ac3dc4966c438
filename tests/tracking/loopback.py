"""A server on 127.0.0.1 that speaks the part of W&B's API that its own client and agent use."""

import contextlib
import itertools
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

ENTITY, PROJECT = 'tester', 'arml'
KEY = 'f' * 40


class Loopback:
    """What the server was told.

    ``down`` makes it answer nothing but errors. ``proposals`` are the cells of a search, ``ended`` those of their
    runs that an agent is told to end early.
    """

    def __init__(self) -> None:
        self.sweeps: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.artifacts: dict[tuple[str, str], dict[str, Any]] = {}
        self.uses: list[dict[str, Any]] = []
        self.operations: list[str] = []
        self.url = ''
        self.down = False
        self.proposals: list[dict[str, Any]] = []
        self.ended: set[str] = set()
        self._resumed: set[str] = set()
        self._lock = threading.RLock()

    def environment(self) -> dict[str, str]:
        """What a client needs to find it, and nothing of the person's own account."""
        return {
            'WANDB_BASE_URL': self.url, 'WANDB_API_KEY': KEY, 'WANDB_MODE': 'online',
            'WANDB_SILENT': 'true', 'WANDB_ENTITY': ENTITY, 'WANDB_PROJECT': PROJECT,
        }  # fmt: skip

    def run(self, name: str) -> dict[str, Any]:
        empty = {'history': [], 'summary': {}, 'config': {}, 'exit': None, 'upserts': []}
        return self.runs.setdefault(name, empty)

    def history(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run(name)['history']]

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any] | None:
        operation = re.search(r'(?:query|mutation)\s+(\w+)', query)
        name = operation.group(1) if operation else ''
        with self._lock:
            self.operations.append(name)
            answer = getattr(self, f'_{name}', None)
            return answer(variables) if answer else None

    def stream(self, run: str, content: dict[str, Any]) -> None:
        with self._lock:
            kept = self.run(run)
            files = content.get('files') or {}
            if 'wandb-history.jsonl' in files:
                part = files['wandb-history.jsonl']
                kept['history'][part.get('offset', 0) :] = part['content']
            if 'wandb-summary.json' in files:
                kept['summary'] = json.loads(files['wandb-summary.json']['content'][-1])
            if content.get('complete'):
                kept['exit'] = content.get('exitcode')

    # Answers, by the names of the operations.

    def _ServerFeaturesQuery(self, variables):  # noqa: N802
        return {'serverInfo': {'features': []}}

    def _Viewer(self, variables):  # noqa: N802
        return {'viewer': {
            'id': 'u', 'entity': ENTITY, 'username': ENTITY, 'name': ENTITY, 'email': 'tester@localhost',
            'admin': False, 'flags': '{}', 'teams': {'edges': []}, 'apiKeys': {'edges': []},
        }}  # fmt: skip

    def _UpsertSweep(self, variables):  # noqa: N802
        name = f'sweep{len(self.sweeps)}'
        config = yaml.safe_load(variables['config'])
        self.sweeps[name] = {
            'text': variables['config'], 'config': config, 'agents': {}, 'given': {},
            'waiting': _grid(config) if config['method'] == 'grid' else list(self.proposals),
        }  # fmt: skip
        project = {'id': 'p', 'name': PROJECT, 'entity': {'id': 'e', 'name': ENTITY}}
        sweep = {'id': name, 'name': name, 'project': project}
        return {'upsertSweep': {'sweep': sweep, 'configValidationWarnings': []}}

    def _SweepWithRuns(self, variables):  # noqa: N802
        sweep = self.sweeps[variables['sweep']]
        return {'project': {'sweep': {
            'id': variables['sweep'], 'name': variables['sweep'], 'method': sweep['config']['method'],
            'state': 'RUNNING', 'description': '', 'config': sweep['text'], 'createdAt': '2026-01-01T00:00:00',
            'heartbeatAt': None, 'updatedAt': None, 'earlyStopJobRunning': False, 'controller': None,
            'scheduler': None, 'runs': {'edges': []},
        }}}  # fmt: skip

    def _CreateAgent(self, variables):  # noqa: N802
        sweep = self.sweeps[variables['sweep']]
        name = f'{variables["sweep"]}/{len(sweep["agents"])}'
        sweep['agents'][name] = []
        return {'createAgent': {'agent': {'id': name}}}

    def _Heartbeat(self, variables):  # noqa: N802
        sweep = self.sweeps[variables['id'].split('/')[0]]
        commands = []
        running = json.loads(variables['runState'])
        if running:
            commands = [{'type': 'stop', 'run_id': run} for run in running if run in self.ended]
        else:
            if sweep['waiting']:
                run = f'agentrun{len(sweep["given"])}'
                sweep['given'][run] = sweep['waiting'].pop(0)
                args = {name: {'value': value} for name, value in sweep['given'][run].items()}
                program = sweep['config']['program']
                commands = [{'type': 'run', 'run_id': run, 'program': program, 'args': args}]
            else:
                commands = [{'type': 'exit'}]
        agent = {'id': variables['id']}
        return {'agentHeartbeat': {'agent': agent, 'commands': json.dumps(commands)}}

    def _RunResumeStatus(self, variables):  # noqa: N802
        self._resumed.add(variables['name'])
        known = self.runs.get(variables['name'])
        bucket = None
        if known is not None:
            bucket = {
                'id': variables['name'], 'name': variables['name'], 'displayName': variables['name'],
                'sweepName': None, 'summaryMetrics': json.dumps(known['summary']),
                'historyLineCount': len(known['history']), 'eventsLineCount': 0, 'logLineCount': 0,
                'historyTail': json.dumps(known['history'][-1:]), 'eventsTail': '[]',
                'config': json.dumps(known['config']), 'tags': [], 'wandbConfig': '{"t": 1}',
            }  # fmt: skip
        return {
            'model': {
                'id': 'p',
                'name': PROJECT,
                'entity': {'id': 'e', 'name': ENTITY},
                'bucket': bucket,
            }
        }

    def _UpsertBucket(self, variables):  # noqa: N802
        name = variables.get('name') or variables.get('id')
        inserted = name not in self.runs
        kept = self.run(name)
        kept['upserts'].append(variables)
        if variables.get('config'):
            kept['config'] = json.loads(variables['config'])
        project = {'id': 'p', 'name': PROJECT, 'entity': {'id': 'e', 'name': ENTITY}}
        bucket = {
            'id': name, 'name': name, 'displayName': variables.get('displayName') or name, 'description': '',
            'config': json.dumps(kept['config']), 'sweepName': variables.get('sweep'), 'project': project,
            # Without resuming W&B overwrites a run, line by line (wandb/wandb#3424).
            'historyLineCount': len(kept['history']) if name in self._resumed else 0,
        }  # fmt: skip
        return {'upsertBucket': {'bucket': bucket, 'inserted': inserted}}

    def _CreateRunFiles(self, variables):  # noqa: N802
        files = [{'name': f, 'uploadUrl': f'{self.url}/storage'} for f in variables['files']]
        return {'createRunFiles': {'runID': variables['run'], 'uploadHeaders': [], 'files': files}}

    def _FetchArtifactDigestAlgorithm(self, variables):  # noqa: N802
        return {'project': None}

    def _XXHashDigestsEnabled(self, variables):  # noqa: N802
        return {'entity': {'xxhashDigestsEnabled': False}}

    def _CreateArtifact(self, variables):  # noqa: N802
        given = variables['input']
        name = (
            given['artifactCollectionName']
            if 'artifactCollectionName' in given
            else given['artifactCollectionNames'][0]
        )
        version = self.artifacts.setdefault(
            (name, given['digest']), {**given, 'by': given.get('runName')}
        )
        sequence = {'id': f's-{name}', 'latestArtifact': {'id': f'a-{name}', 'versionIndex': 0}}
        version['id'] = f'a-{name}'
        artifact = {'id': f'a-{name}', 'state': 'COMMITTED', 'artifactSequence': sequence}
        return {'createArtifact': {'artifact': artifact}}

    def _ArtifactByID(self, variables):  # noqa: N802
        (kept,) = [each for each in self.artifacts.values() if each['id'] == variables['id']]
        project = {'id': 'p', 'internalId': 'p', 'name': PROJECT, 'entity': {'name': ENTITY}}
        name = variables['id'].removeprefix('a-')
        sequence = {'__typename': 'ArtifactSequence', 'name': name, 'project': project}
        return {'artifact': {
            '__typename': 'Artifact', 'id': variables['id'], 'artifactSequence': sequence, 'versionIndex': 0,
            'artifactType': {'name': kept['artifactTypeName']}, 'description': None,
            'metadata': kept.get('metadata') or '{}', 'ttlDurationSeconds': -2, 'ttlIsInherited': True,
            'tags': [], 'historyStep': None, 'state': 'COMMITTED', 'size': 0, 'digest': kept['digest'],
            'digestAlgorithm': 'MANIFEST_MD5', 'commitHash': 'c', 'fileCount': 1,
            'createdAt': '2026-01-01T00:00:00Z', 'updatedAt': None, 'aliases': [],
        }}  # fmt: skip

    def _UseArtifact(self, variables):  # noqa: N802
        self.uses.append(variables['input'])
        return {'useArtifact': {'artifact': {'id': variables['input']['artifactID']}}}


def _grid(config: dict[str, Any]) -> list[dict[str, Any]]:
    names = list(config['parameters'])
    values = [
        entry['values'] if 'values' in entry else [entry['value']]
        for entry in config['parameters'].values()
    ]
    return [dict(zip(names, row, strict=True)) for row in itertools.product(*values)]


@contextlib.contextmanager
def serve() -> Iterator[Loopback]:
    """Run the server in a thread of this process."""
    server = Loopback()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def _answer(self, content: Any, status: int = 200) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _body(self) -> bytes:
            if self.headers.get('Transfer-Encoding', '').lower() == 'chunked':
                parts = []
                while size := int(self.rfile.readline().strip() or b'0', 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b''.join(parts)
            return self.rfile.read(int(self.headers.get('Content-Length') or 0))

        def do_POST(self) -> None:
            body = self._body()
            if self.headers.get('Content-Encoding') == 'gzip':
                import gzip

                body = gzip.decompress(body)
            if server.down:
                return self._answer({'errors': [{'message': 'down'}]}, 500)
            if self.path == '/graphql':
                content = json.loads(body)
                data = server.graphql(content['query'], content.get('variables') or {})
                if data is None:
                    return self._answer(
                        {'errors': [{'message': f'unknown: {content["query"][:80]}'}]}
                    )
                return self._answer({'data': data})
            stream = re.fullmatch(r'/files/[^/]+/[^/]+/([^/]+)/file_stream', self.path)
            if stream:
                server.stream(stream.group(1), json.loads(body))
            return self._answer({})

        def do_PUT(self) -> None:
            self._body()
            self._answer({}, 500 if server.down else 200)

        def do_GET(self) -> None:
            self._answer({}, 500 if server.down else 200)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as http:
        http.daemon_threads = True
        server.url = f'http://127.0.0.1:{http.server_address[1]}'
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
