"""The fuel criterion: how many generators each fuel can run at each site, and on what evidence.

`gas` covers the mains of a utility, `stored` the tanks and trailers that fit on the site, `plants`
nearby landfills, digesters and hydrogen plants. They all answer with the columns of `supply`.
`mains` and `pipes` compute what a main carries, and `requirements` says what a fuel needs before
it can run.
"""
