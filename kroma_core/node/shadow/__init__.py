"""Shadow mode: one part leads, any number of others follow, and what they give for the same question is compared.

How the pieces fit, for whoever adds a role:

- `divergence`: values. A `Cursor` names the place, a `Divergence` says what differed there and carries, as JSON, the
  inputs (all that is needed to ask again, on another machine) and both outputs.
- `bundle`: the file that a divergence is kept in, written and read.
- `panel`: one a leading part. It is told of agreement and divergence, writes the bundle, tells observers, and applies
  the policy (`report`, `halt`, `majority`).
- `follower`: one a following part. A bounded queue of steps (what the leading part was asked, and what it answered; the
  type is the role's own), and the task that opens the part, compares step by step and tells the panel. The task meets
  every failure: a part that fails, hangs or cannot be opened is detached with an event and opened again with back-off.
- a module a role (`engine`, ...) has two things. A stand-in with the role's protocol, which takes the leading part's
  place and hands each step to `Follower.offer` (never waits, never raises); and a `Comparison`, which asks the
  follower's part the same and returns `Agreed`, `Behind`, `Unanswered` or `Differs` for each step (see `divergence`).
- `leading`: what a role is given to make these. `roles.SHADOWED` has the roles that can be shadowed, and
  `planning.FOLLOWED` the same for a plan; `node.assemble` uses them.

A role's module writes `def shadow_<role>(leading: Leading) -> Any`, the stand-in, and puts it into `roles.SHADOWED`:

    def shadow_l1(leading: Leading) -> L1Source:
        followers = [
            leading.follower(part, functools.partial(comparing, leading, part)) for part in leading.part.shadows
        ]
        return ShadowedL1(leading.open_part, followers)

    @asynccontextmanager
    async def comparing(leading, part):                   # runs in the follower's task; may raise anything, and hang
        async with leading.opened(part) as source:        # in this process; an engine has one of its own
            yield L1Comparison(source, leading.version, version_of(part))

What replays a bundle of a role goes into `replaying.REPLAYED`.
"""
