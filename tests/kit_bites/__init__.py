"""One deliberately broken plugin for each rule of the conformance kits: each must be caught."""
