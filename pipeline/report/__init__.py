"""The report: ``report/index.html`` in the output, one page that needs no network, from what a run leaves behind."""
