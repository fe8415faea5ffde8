"""What the role asks of it, over a folder and over HTTP."""

from __future__ import annotations

from maker import KIND, BucketMaker, Maker

from kroma_core.api import Role
from kroma_core.testing.data_source import DataSourceSuite
from kroma_core.testing.declared import DeclaredSuite


class TestDirectoryOffer(DeclaredSuite):
    offer = (Role.DATA, KIND)


class TestFolder(Maker, DataSourceSuite):
    pass


class TestBucket(BucketMaker, DataSourceSuite):
    pass
