"""One page of all results of a store, to be read by others: a single HTML file that needs nothing else.

facts       what the store is
pictures    figures made part of the page
sections    a result as a section of the page
page        the sections as HTML
"""

from probes.report.page import Report, write_report

__all__ = ["Report", "write_report"]
