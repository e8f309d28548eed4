"""The report of a run: ``report/index.html``, one page that needs no network."""
