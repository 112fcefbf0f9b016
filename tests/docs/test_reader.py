"""The reader notices what is wrong with a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pages import blocks
from .reader import Misled, Reader


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```bash\nfalse\n```\n", "line 1 does not work"),
        ("So:\n\n```bash\nlistener queues --nonsense\n```\n", "line 3 does not work"),
        ("```bash\nmake nonsense\n```\n", "no target nonsense"),
        ("```bash\ncurl http://127.0.0.1:3001\n```\n", "curl: command not found"),
        ("```bash\necho one\n```\n\n```text\ntwo\n```\n", "line 5 shows what was not printed"),
        ("```sql\nselect listener.nonsense();\n```\n", "nonsense"),
        ("```js\nawait supabase.from('pg_class').insert({ nonsense: 1 })\n```\n", "has other columns"),
        ("```python examples/thumbnails.py\npass\n```\n", "line 1 differs from examples/thumbnails.py"),
        ("```yaml\na: 1\n```\n", "a block of 'yaml'"),
        ("```\nlistener queues\n```\n", "a block of ''"),
    ],
)
def test_a_page_that_misleads_is_found(text: str, complaint: str, database: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)

    with pytest.raises(Misled, match=complaint):
        Reader(tmp_path, database).follow(blocks(tmp_path / "page.md"))
