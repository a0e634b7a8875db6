# SPDX-License-Identifier: Apache-2.0
"""Statements that make a planner run a tenant's code: every known form, in every position of a statement, in many spellings.

`forms`: what a tenant may leave lying about, with a tripwire in each. `positions`: where an expression or a relation may stand.
`spelling`: the same tokens, written otherwise. `statements`: the product of these. `lab`: the servers and the judge.
"""
