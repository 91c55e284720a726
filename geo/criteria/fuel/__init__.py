"""What each fuel can run at each site, from where, and how that is known.

`gas` asks the mains of a utility, `stored` the tanks and trailers that the ground takes, `plants`
the landfills, digesters and hydrogen plants near by; `facts` is what they all answer with.
"""
