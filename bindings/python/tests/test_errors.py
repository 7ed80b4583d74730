"""Every kind of error has a class of its own, the same word and number as elsewhere."""

import copy
import pickle

import pytest

import sluicegate
from sluicegate import Gateway, SluicegateError


@pytest.mark.parametrize("kind, code", sluicegate.ERROR_KINDS)
def test_a_class_for_each_kind(kind, code):
    found = [it for it in vars(sluicegate).values() if isinstance(it, type) and it.__dict__.get("kind") == kind]
    [cls] = [it for it in found if it is not SluicegateError]
    assert issubclass(cls, SluicegateError) and cls.code == code
    assert cls.__name__ in sluicegate.__all__
    error = cls("said", retry_after_ms=5, context={"limit": "key"})
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is cls
        assert (str(again), again.retry_after_ms, again.context) == ("said", 5, {"limit": "key"})


def test_a_wrong_configuration_says_where():
    config = "version: 1\nchannels:\n  - {name: a, provider: openai, modles: [m]}\n"
    with pytest.raises(sluicegate.ConfigInvalidError) as raised:
        Gateway(config, config_path="gateway.yaml")
    assert "gateway.yaml:3" in str(raised.value) and "modles" in str(raised.value)


def test_a_file_that_is_not_there():
    with pytest.raises(SluicegateError, match="nowhere.yaml"):
        Gateway.open("nowhere.yaml")


def test_a_database_that_is_not_there(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SluicegateError, match="file"):
        Gateway(demo=True, data_dir=tmp_path / "file" / "data")


def test_an_option_that_is_not_known():
    with pytest.raises(TypeError, match="databse"):
        Gateway(databse="memory")
