"""A method's folder may hold a part of any kind."""

import subprocess
import sys

METHOD = """
from arml import registry

for name in {names}:
    cls = type('ThrowAway', (), {{}})
    getattr(registry, name).register_module(name='ThrowAway', module=cls)
"""
ASK = """
import os
import arml
arml.__path__.insert(0, {folder!r})
from arml.startup import start
start()
import mmengine.registry as roots
from arml import registry

def ask(where, kind):
    # in a process of its own: one registry imports the method for all
    child = os.fork()
    if not child:
        found = where.get(kind)
        os._exit(found is None or found.__name__ != 'ThrowAway')
    assert os.waitpid(child, 0)[1] == 0, where

for name in {names}:
    ask(getattr(registry, name), 'ThrowAway')
for name in ('DATASETS', 'HOOKS', 'METRICS', 'TRANSFORMS'):
    ask(getattr(roots, name), 'arml.ThrowAway')
"""


def test_registries__know_what_a_method_registers(tmp_path):
    from arml import registry

    names = [
        n for n, r in vars(registry).items() if n.isupper() and hasattr(r, 'import_from_location')
    ]
    names = [name for name in names if not name.startswith('MMENGINE')]
    assert {'DATASETS', 'TRANSFORMS', 'METRICS', 'HOOKS', 'MODELS', 'STAGES'} <= set(names)
    (tmp_path / 'methods' / 'throw_away').mkdir(parents=True)
    (tmp_path / 'methods' / '__init__.py').write_text('from arml.methods import throw_away\n')
    (tmp_path / 'methods' / 'throw_away' / '__init__.py').write_text(METHOD.format(names=names))
    code = ASK.format(folder=str(tmp_path), names=names)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
