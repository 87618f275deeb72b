"""Similarity of representations, from a store alone: do two places hold the same geometry?

cka           linear CKA in memory, biased and debiased, from features or from Gram matrices
moments       the sums that CKA needs, which add up over rows: the form that streams
rsa           representational dissimilarity matrices and how they are compared
designs       what is compared with what: layers, steps, seeds, samples, variants, stores
rows          which rows of a store the features have, and reading them
blocks        which pairs are computed together within a bound of memory
streaming     CKA of many pairs, in bounded memory
dissimilarity RSA of many pairs, in bounded memory
intervals     the jackknife over samples, and shuffles of samples
compare       all of it over a store, as a result
plots         heat maps and curves
"""
