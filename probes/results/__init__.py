"""Results: what analyses found, in the hand and as files of a store.

files        one file a result: saved whole or not at all, opened, named
result       the numbers, where they come from, and how they are looked at
listing      the results of a store by name
provenance   what a result says of where it comes from
table_view   a table as it is read
facts        how a result was made, as names and texts
export       a result for other programs
"""
