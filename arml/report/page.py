"""A report in one HTML file: the Markdown, with its pictures inside."""

import base64
import re
from html import escape
from pathlib import Path

from markdown import Markdown

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 70rem;
  margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; margin: 1.8em 0 .6em; }
h2 { border-top: 1px solid #ddd; padding-top: 1.2em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { padding: .3em .7em; border-bottom: 1px solid #e3e3e3; white-space: nowrap; }
thead th { border-top: 2px solid #222; border-bottom: 1px solid #222; }
tbody tr:last-child td { border-bottom: 2px solid #222; }
img { max-width: 100%; max-height: 44rem; }
ul { font-size: .9em; color: #444; }
code { background: #f3f3f3; padding: .1em .3em; border-radius: 3px; overflow-wrap: anywhere; }
"""


def html_page(title: str, text: str, folder: Path) -> str:
    """Turn a report into a page that needs no other file.

    Args:
        title: Title of the page.
        text: The report in Markdown; names of pictures count from ``folder``.
        folder: Where its PNG files lie.

    Returns:
        The page, UTF-8.
    """
    body = Markdown(extensions=['tables', 'sane_lists'], output_format='html').convert(text)
    body = re.sub(
        r'(<img [^>]*?src=")([^":]+\.png)(")',
        lambda found: found[1] + _inside(folder / found[2]) + found[3],
        body,
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n'
    )


def _inside(file: Path) -> str:
    return 'data:image/png;base64,' + base64.b64encode(file.read_bytes()).decode('ascii')
