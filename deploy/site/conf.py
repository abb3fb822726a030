"""What Sphinx is told."""

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

project = "MISP2Sentinel"
extensions = ["myst_parser"]
# Anchors as GitHub makes them, so that a link works in both.
myst_heading_anchors = 4
# What has no language is a terminal's, and two hyphens are an option.
highlight_language = "none"
smartquotes = False
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
# A summary is fetched from the page, which a browser refuses where the site is opened as files.
html_show_search_summary = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["numbers.js"]


class WithNumbers(SearchEnglish):
    """English, and the numbers that Sphinx leaves out: a reader looks for 429."""

    def word_filter(self, word: str) -> bool:
        """Say whether a word is in the index."""
        return word not in self.stopwords


def setup(app: Sphinx) -> None:
    """Have Sphinx use it."""
    app.add_search_language(WithNumbers)
