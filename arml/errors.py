"""The error a user is meant to read."""


class ArmlError(Exception):
    """A problem with the user's input or environment, explained.

    The message names the file or field, what was found, what was expected and
    what to do. Tools print it without a traceback and exit with status 2.
    """


class ConfigError(ArmlError):
    """A config file or an override that cannot be used."""


class DataError(ArmlError):
    """A data folder, image, mask or label that cannot be used."""


class CheckpointError(ArmlError):
    """A checkpoint or weight file that is missing, unsafe or of another model."""
