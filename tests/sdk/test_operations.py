"""The SDKs' single operations: images, speech, transcriptions, moderations, completions, counts of tokens."""

import json

import openai
import pytest
import rig
import test_matrix


def test_images(open_ai):
    made = open_ai.images.generate(model="image", prompt="a cat", n=2)
    assert [image.b64_json for image in made.data] == ["AAAA", "AAAA"]
    assert made.usage.output_tokens == 200
    edited = open_ai.images.edit(model="image", prompt="a hat", image=("cat.png", b"png", "image/png"))
    assert len(edited.data) == 1


def test_a_stream_of_images(open_ai):
    events = list(open_ai.images.generate(model="image", prompt="a cat", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]


def test_speech(open_ai):
    with open_ai.audio.speech.with_streaming_response.create(model="speech", voice="alloy", input="hello") as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        sound = b"".join(answer.iter_bytes())
    assert len(sound) == 5000
    assert sound[:3] == b"\x00\x01\x02"


def test_transcriptions(open_ai, upstream):
    sound = ("a.wav", b"x" * 5_000_000, "audio/wav")
    heard = open_ai.audio.transcriptions.create(model="hear", file=sound, language="de", timestamp_granularities=["word"])
    assert heard.text == "whisper-1 heard 5000000 bytes"
    assert open_ai.audio.transcriptions.create(model="hear", file=sound, response_format="text") == heard.text + "\n"
    assert open_ai.audio.translations.create(model="hear", file=sound).text == heard.text
    events = list(open_ai.audio.transcriptions.create(model="hear", file=sound, stream=True))
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == heard.text


def test_moderations(open_ai):
    for more in [{}, {"model": "omni-moderation-latest"}]:
        assert open_ai.moderations.create(input=["a", "b"], **more).results[1].flagged is False


def test_completions(open_ai):
    answer = open_ai.completions.create(model="old", prompt=["a", "b"], max_tokens=3)
    assert [choice.text for choice in answer.choices] == ["hello there", "hello there"]
    chunks = list(open_ai.completions.create(model="old", prompt="a", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "hello there"
    assert all(chunk.usage is None for chunk in chunks)


@pytest.fixture(scope="module")
def completer(upstream_process, tmp_path_factory):
    """The OpenAI SDK before channels that have one format of chat each, and no completions."""
    folder = tmp_path_factory.mktemp("completions")
    config = folder / "config.yaml"
    config.write_text(json.dumps(test_matrix.configuration(upstream_process.url)))
    with rig.gateway(config, folder, {"FAKE_KEY": rig.UPSTREAM_KEY, "MASTER": rig.MASTER_KEY}) as gateway:
        key = gateway.new_key(key_alias="sdk-completions")
        with openai.OpenAI(base_url=gateway.url + "/v1", api_key=key, max_retries=0, timeout=rig.CALL_LIMIT_S) as client:
            yield client


@pytest.mark.parametrize("upstream", test_matrix.UPSTREAMS)
def test_completions_of_chat_models(completer, upstream):
    asked = {"model": upstream, "prompt": "hello there", "max_tokens": 50}
    answer = completer.completions.create(**asked, temperature=0.5, stop=["zork"], user="u1")
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason, choice.logprobs) == ("echo: hello there", "stop", None)
    assert (answer.object, answer.id.startswith("cmpl-")) == ("text_completion", True)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 3)
    for include in [False, True]:
        more = {"stream_options": {"include_usage": True}} if include else {}
        chunks = list(completer.completions.create(**asked, stream=True, **more))
        said = [chunk.choices[0] for chunk in chunks if chunk.choices]
        assert "".join(choice.text for choice in said) == "echo: hello there"
        assert sum(1 for choice in said if choice.text) >= 2
        assert [choice.finish_reason for choice in said if choice.finish_reason] == ["stop"]
        assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == ([3] if include else [])
    with pytest.raises(openai.BadRequestError) as refused:
        completer.completions.create(**asked, suffix="and so on")
    assert refused.value.param == "suffix"
    with pytest.raises(openai.RateLimitError):
        completer.completions.create(**asked | {"model": upstream + "--status-429"})


def test_counts(claude):
    messages = [{"role": "user", "content": "hello there"}]
    assert claude.messages.count_tokens(model="claude", messages=messages).input_tokens == 42
    # Nobody is asked who can't count.
    assert 5 < claude.messages.count_tokens(model="chat", messages=messages).input_tokens < 60


def test_models_in_pages(claude):
    first = claude.models.list(limit=2)
    assert len(first.data) == 2 and first.has_more
    names = [model.id for model in claude.models.list(limit=7)]
    assert len(names) == len(set(names)) > 40
    assert claude.models.retrieve("claude").display_name == "claude"
