"""The fuel criterion: how many generators each fuel can run at each site, and on what evidence.

`gas` covers the mains of a utility, `stored` the tanks and trailers that fit on the site, `plants`
nearby landfills, digesters and hydrogen plants. They all return the columns of `supply`. `mains`
and `pipes` compute the capacity of a main, `shared_mains` what is left of it where several sites
share it, and `requirements` describes what a fuel needs before generators can run on it.
"""
