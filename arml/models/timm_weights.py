"""Weights of timm models from the hub or a URL: cached, fast to fail, never executed."""

import urllib.error
import urllib.request
from pathlib import Path

import timm
from torch import Tensor

from arml.models.weights import TIMEOUT, download, read_weights, weights_error

#: File names under which timm's models lie on the hub, the first that exists is taken.
HUB_FILES = ('model.safetensors', 'pytorch_model.bin')


def timm_state_dict(model_name: str, scratch: str) -> dict[str, Tensor]:
    """Read the published weights of a timm model from the local cache or the network.

    Args:
        model_name: Name in timm.
        scratch: The option that trains from scratch, for the error message.

    Returns:
        Tensors by timm's names, classifier included.

    Raises:
        CheckpointError: If timm publishes none or they cannot be had.
    """
    cfg = timm.get_pretrained_cfg(model_name)
    if cfg is None or not (cfg.hf_hub_id or cfg.url):
        raise weights_error(
            f'of timm model {model_name}',
            'timm publishes none',
            'a path of your choice and give it as checkpoint=PATH of the backbone',
            scratch,
        )
    if cfg.hf_hub_id:
        path = hub_file(cfg.hf_hub_id, model_name, scratch)
    else:
        path = download(cfg.url, scratch)
    return read_weights(path, scratch=scratch)


def hub_file(hub_id: str, model_name: str, scratch: str) -> Path:
    """Find a weight file of ``hub_id`` in the hub's cache, or download it.

    Raises:
        CheckpointError: If it is in neither.
    """
    import huggingface_hub as hub
    from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE

    repo, _, revision = hub_id.partition('@')
    for name in HUB_FILES:
        cached = hub.try_to_load_from_cache(repo, name, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    place = (
        f'the hub cache ({HF_HUB_CACHE}, filled by `hf download {repo}` where there is network), '
        'or anywhere, and give checkpoint=PATH of this backbone'
    )
    reason = unreachable(ENDPOINT)
    for name in () if reason else HUB_FILES:
        try:
            return Path(
                hub.hf_hub_download(repo, name, revision=revision or None, etag_timeout=TIMEOUT)
            )
        except hub.errors.LocalEntryNotFoundError:
            reason = 'the hub did not answer and the file is not in its cache'
            break
        except hub.errors.EntryNotFoundError:
            reason = f'the hub has no {" or ".join(HUB_FILES)} there'
        except Exception as error:  # the hub's client raises its transport's own types
            reason = f'the hub did not deliver it ({type(error).__name__})'
            break
    raise weights_error(
        f'{repo} ({HUB_FILES[0]}) of timm model {model_name}', reason, place, scratch
    )


def unreachable(endpoint: str) -> str:
    """Say why a host cannot be reached, '' if it can; the hub's client tries for half a minute."""
    try:
        request = urllib.request.Request(endpoint, method='HEAD')
        urllib.request.urlopen(request, timeout=TIMEOUT).close()
    except urllib.error.HTTPError:
        return ''
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, 'reason', error)
        return f'not in the cache, and {endpoint} cannot be reached ({reason})'
    return ''
