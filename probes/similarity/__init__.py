"""Similarity of representations, from a store alone: do two places hold the same geometry?

cka             linear CKA in memory, biased and debiased, from features or from Gram matrices
moments         the sums that CKA needs, which add up over rows: the form that streams
rsa             dissimilarities between rows, and how those of two representations agree
designs         what is compared with what: layers, steps, seeds, samples, variants, stores
choosing        from what is asked for to a design
rows            which rows of a store the features have, and reading them
blocks          which pairs are computed together within a bound of memory
streaming       CKA of many pairs, in bounded memory
grams           the same where rows are fewer than channels
dissimilarity   RSA of many pairs, in bounded memory
found           what is found of each pair
intervals       the jackknife over samples, and shuffles of samples and tokens
compare         all of it over a store, as a result
words           what a result says of itself
plots           maps and curves
"""
