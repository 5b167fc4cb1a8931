"""The one contact that a configured name means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.contact import find_contact
from logmonitor.errors import ContactError, RejectedError
from logmonitor.language import translation
from logmonitor.records import Sender

ANN = Sender(id="wxid_1", weixin="ann", alias="boss", name="Ann")
BEN = Sender(id="wxid_2", weixin="ben", alias="Ben", name="boss")


@pytest.mark.parametrize("who", ["wxid_1", "ann", "boss"])
def test_contact_is_found_by_id_weixin_or_alias(who: str) -> None:
    """These three find the contact, though another has the name of it for a display name."""
    assert find_contact(who, (ANN, BEN)) == ANN


@pytest.mark.parametrize("who", ["Ann", "ANN", " ann", ""])
def test_contact_is_not_found_by_anything_else(who: str) -> None:
    """Neither a display name nor a near spelling nor nothing finds anybody; who there is, is listed."""
    with pytest.raises(RejectedError) as caught:
        find_contact(who, (BEN, ANN, Sender(id="wxid_3")))
    assert str(caught.value) == (
        f"no contact fits {who!r}; expected the id of one: wxid_1 (alias “boss”, number “ann”),"
        " wxid_2 (alias “Ben”, number “ben”), wxid_3"
    )


def test_contact_that_fits_in_two_ways_is_none() -> None:
    """One contact's alias that is another's weixin number finds neither."""
    with pytest.raises(RejectedError) as caught:
        find_contact("boss", (ANN, Sender(id="wxid_3", weixin="boss")))
    assert str(caught.value) == (
        "2 contacts fit 'boss'; expected the id of one: wxid_1 (alias “boss”, number “ann”), wxid_3 (number “boss”)"
    )


def test_contact_with_the_exact_id_wins() -> None:
    """An id is WeChat's to give, so that it finds its contact whatever others call themselves."""
    assert find_contact("wxid_1", (Sender(id="wxid_3", weixin="wxid_1"), ANN)) == ANN


def test_contact_unknown_among_many_lists_the_nearest() -> None:
    """Of many contacts the ten nearest are listed, and how many more there are."""
    many = [Sender(id=f"wxid_{number:04}", weixin=f"person{number}") for number in range(500)]
    with pytest.raises(RejectedError) as caught:
        find_contact("person47O", many)
    text = str(caught.value)
    assert text.startswith("no contact fits 'person47O'; expected the id of one: wxid_0047 (number “person47”), ")
    assert text.endswith(" and 490 more")
    assert text.count("wxid_") == 10


def test_contact_unknown_where_nobody_is_known_says_so() -> None:
    """Without any contact the text says why there is none."""
    with pytest.raises(RejectedError, match=r"^no contact fits 'boss': the list is empty$"):
        find_contact("boss", (), nobody="the list is empty")


def test_contact_is_listed_by_what_can_be_typed() -> None:
    """An id with a space in it stands in quotes, one that is the number too is told once, and no name forges a row."""
    contacts = (
        Sender(id="the boss", alias="a”), wxid_9 (alias “b\n"),
        Sender(id="wxid_2", weixin="wxid_2", name="Ann"),
        Sender(id="wxid\u202e3"),
    )
    with pytest.raises(RejectedError) as caught:
        find_contact("Ann", contacts)
    assert str(caught.value) == (
        "no contact fits 'Ann'; expected the id of one:"
        " \"the boss\" (alias “a')· wxid_9 (alias 'b␊”), wxid_2, wxid\\u202e3"
    )


def test_contact_is_explained_in_the_language_of_who_asks() -> None:
    """The error holds the whole text for whoever translates it; the contacts are those it was raised for."""
    contacts = [ANN, *(Sender(id=f"wxid_{number}") for number in range(2, 12))]
    with pytest.raises(ContactError) as caught:
        find_contact("nobody", contacts)
    contacts.clear()
    text = caught.value.explain(translation("zh"))
    assert text.startswith("没有联系人对应 'nobody'；应为其中一位的 id：")
    assert text.endswith(" 等，另有 1 个")
    with pytest.raises(ContactError) as caught:
        find_contact("nobody", ())
    assert caught.value.explain(translation("zh")) == "没有联系人对应 'nobody'：the chat knows nobody"


@given(
    who=st.sampled_from(["a", "b", "c"]),
    contacts=st.lists(
        st.builds(
            Sender,
            id=st.uuids().map(str),
            weixin=st.sampled_from([None, "a", "b", "c"]),
            alias=st.sampled_from([None, "a", "b", "c"]),
        ),
        max_size=5,
        unique_by=lambda contact: contact.id,
    ),
)
def test_contact_is_found_only_where_it_is_the_only_one(who: str, contacts: list[Sender]) -> None:
    """Whoever is found fits, and nobody else does."""
    fitting = [contact for contact in contacts if who in (contact.weixin, contact.alias)]
    try:
        assert [find_contact(who, contacts)] == fitting
    except RejectedError:
        assert len(fitting) != 1
