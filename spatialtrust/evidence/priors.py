"""What is known of things by their names: typical size, and what one can do with them.

Boxes say how large a thing looks; its name says how large it is, so together they say how far away
it is. And whether a person calls a cat "on" a thing depends on whether things stand on it. The
table is written by hand from common knowledge; it holds no statistics of any data set. A word that
it does not know is NaN throughout, never a guess.

>>> attributes(["the red mugs", "gizmo"])[:, COLUMNS.index("container")].tolist()
[1.0, nan]
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from spatialtrust.evidence import things

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

COLUMNS: Final = (
    "front",
    "container",
    "support",
    "animate",
    "vehicle",
    "furniture",
    "food",
    "elevated",
    "standing",
    "appliance",
    "log_size",
)
"""Has a front of its own; things are put in it; on it; lives; drives; is furniture; is eaten; is
usually above head height; stands on the floor or ground; runs on electricity, gas or water (all 1
or 0); natural logarithm of its typical longest side in metres."""

# Attributes, then nouns with their typical longest side in metres.
_TABLE: Final = """
front animate standing: person 1.7, man 1.75, woman 1.65, boy 1.3, girl 1.3, child 1.2, kid 1.2,
 baby 0.7, toddler 0.85, lady 1.65, guy 1.75, player 1.75, skier 1.7, surfer 1.7, rider 1.7,
 skateboarder 1.7, people 1.7, adult 1.7, chef 1.7, driver 1.7, pedestrian 1.7, passenger 1.7,
 sheep 1.2, cow 2.3, bull 2.4, bear 1.8, zebra 2.2, giraffe 4.7, deer 1.8, goat 1.2, pig 1.3,
 lion 1.9, tiger 1.9, ox 2.4, lamb 0.7, calf 1.2, penguin 0.7, ostrich 2.2, robot 1.2
front animate standing support: horse 2.3, elephant 5, camel 3, donkey 1.8, pony 1.6
front animate: cat 0.5, kitten 0.25, dog 0.8, puppy 0.4, bird 0.25, pigeon 0.33, parrot 0.35,
 seagull 0.45, duck 0.5, goose 0.8, swan 1.4, owl 0.4, chicken 0.4, rabbit 0.4, squirrel 0.25,
 hamster 0.1, fish 0.3, shark 2.5, whale 12, dolphin 2.3, turtle 0.4, frog 0.1, snake 1, lizard 0.25,
 fox 0.9, wolf 1.3, monkey 0.6, insect 0.02, bee 0.015, butterfly 0.06, eagle 0.8, crow 0.45
front vehicle standing support: bicycle 1.7, bike 1.7, motorcycle 2.1, motorbike 2.1, scooter 1.7,
 moped 1.7, tricycle 1
front vehicle standing container: car 4.3, bus 11, train 40, truck 7, taxi 4.5, van 5, pickup 5.3,
 suv 4.7, minivan 4.8, ambulance 6, tractor 4, trailer 6, tram 25, trolley 12, jeep 4, lorry 8,
 limousine 7, forklift 3, bulldozer 5, carriage 3, wagon 3, locomotive 18, vehicle 4.5
front vehicle container support: boat 6, ship 60, ferry 40, sailboat 9, canoe 4.5, kayak 3.5, raft 3,
 yacht 15
front vehicle container: airplane 35, plane 35, jet 30, aeroplane 35, aircraft 35, helicopter 13,
 airliner 40
front elevated standing: traffic light 1, stop sign 0.8, street light 6, streetlight 6, lamppost 4,
 billboard 8, street sign 0.8, sign 0.8, traffic sign 0.8
front elevated: clock 0.3, wall clock 0.3
standing: fire hydrant 0.8, hydrant 0.8, parking meter 1.4, pole 4, post 1.5, fence 6, tree 8,
 palm tree 9, bush 1.2, tent 3, statue 2, column 4, cone 0.7, traffic cone 0.7, ladder 2.5, tripod 1.4,
 floor lamp 1.6, easel 1.6, snowman 1.5, umbrella stand 0.6, fountain 3, tower 40, windmill 20,
 stroller 1.1, wheelchair 1.1, goal 5
front standing container: house 10, building 15, barn 15, church 20, garage 6, shed 3, hut 4,
 mailbox 1.2, vending machine 1.8, doghouse 1
front furniture support standing: bench 1.6, chair 0.9, couch 2, sofa 2, bed 2, armchair 1,
 recliner 1, throne 1.4, rocking chair 1.1, office chair 1.1, loveseat 1.5, high chair 1, crib 1.3,
 piano 1.5, futon 2
front furniture support standing container: desk 1.4, dresser 1.2, cabinet 0.9, cupboard 1, shelf 1,
 bookshelf 1.8, bookcase 1.8, nightstand 0.55, wardrobe 2, sideboard 1.6, chest 1.1,
 tv stand 1.3, rack 1.5, counter 2.5, kitchen island 2, closet 2, locker 1.8
furniture support standing: dining table 1.6, table 1.4, coffee table 1.1, side table 0.6,
 picnic table 1.8, stool 0.6, ottoman 0.6, nightstand table 0.55, workbench 1.6, stand 1, bar 3,
 podium 1.2, countertop 2.5, pool table 2.5
front standing appliance container: refrigerator 1.75, fridge 1.75, freezer 1.6, washing machine 0.85,
 washer 0.85, dryer 0.85, dishwasher 0.85
front standing appliance container support: oven 0.85, stove 0.85, cooker 0.85, toilet 0.7
front appliance container support: microwave 0.5, microwave oven 0.5, toaster oven 0.45, printer 0.5,
 air fryer 0.35
front appliance support: laptop 0.34, computer 0.45, radio 0.3, speaker 0.4, stereo 0.4, console 0.3,
 modem 0.2, router 0.2
front appliance elevated: tv 1, television 1, tv monitor 0.6, monitor 0.55, screen 0.8, projector 0.35,
 air conditioner 0.9
front appliance: keyboard 0.45, cell phone 0.15, phone 0.15, cellphone 0.15, smartphone 0.15,
 mobile phone 0.15, telephone 0.22, tablet 0.25, ipad 0.25, camera 0.13, heater 0.5, webcam 0.08,
 calculator 0.15, game controller 0.16, sewing machine 0.4
appliance: mouse 0.11, computer mouse 0.11, remote 0.18, remote control 0.18, hair drier 0.25,
 hair dryer 0.25, iron 0.28, flashlight 0.15, headphones 0.18, microphone 0.2, drill 0.25,
 blender 0.4, mixer 0.35, charger 0.08, cable 1, vacuum cleaner 1.1, wii 0.2, lamp 0.5,
 table lamp 0.5, desk lamp 0.5, controller 0.16, joystick 0.15
appliance elevated: chandelier 0.8, ceiling fan 1.2, fan 0.5, light 0.3, ceiling light 0.4,
 light bulb 0.1, range hood 0.8
appliance container: toaster 0.3, kettle 0.25, coffee maker 0.35, coffee machine 0.35, teapot 0.22,
 rice cooker 0.3, slow cooker 0.35
appliance container support: sink 0.6, bathtub 1.6, tub 1.6, shower 2
container: backpack 0.5, handbag 0.35, purse 0.3, bag 0.4, suitcase 0.65, luggage 0.65, briefcase 0.42,
 wallet 0.11, bottle 0.25, wine bottle 0.3, water bottle 0.25, wine glass 0.2, glass 0.14, cup 0.11,
 mug 0.11, bowl 0.2, pot 0.28, pan 0.4, saucepan 0.35, frying pan 0.45, vase 0.28, jar 0.16, can 0.12,
 basket 0.4, bucket 0.3, bin 0.5, trash can 0.7, garbage can 0.7, trash bin 0.6, box 0.4, crate 0.5,
 carton 0.25, jug 0.25, pitcher 0.25, potted plant 0.6, plant 0.5, flower pot 0.3, planter 0.5,
 barrel 0.9, drawer 0.5, case 0.4, package 0.35, parcel 0.35, envelope 0.23, shopping bag 0.4,
 shopping cart 1, cart 1.1, pocket 0.15, cage 0.6, aquarium 0.8, cradle 0.9, canister 0.2, sack 0.6,
 thermos 0.28, flask 0.25, tin 0.15, toolbox 0.45, carrier 0.5, ashtray 0.12, pouch 0.2, nest 0.25,
 tank 1, dish 0.22, casserole 0.3, glove box 0.4, bathroom 3, kitchen 4, room 5, office 5
container support: tray 0.4, plate 0.26, saucer 0.15, cutting board 0.38, platter 0.35, pallet 1.2,
 bath 1.6, pool 10, swimming pool 10
support: block 0.06, cube 0.06, cylinder 0.08, brick 0.2, skateboard 0.8, surfboard 2.1, snowboard 1.5, mat 1, rug 2, carpet 3, blanket 1.5,
 towel 1, placemat 0.45, napkin 0.3, tablecloth 1.6, pillow 0.6, cushion 0.45, mattress 2, board 1,
 sled 1, floor 5, ground 10, grass 10, road 20, street 20, sidewalk 10, sand 10, beach 50, snow 20,
 field 50, roof 10, stairs 3, step 1, platform 10, deck 6, porch 4, dock 10, bridge 30, wall 5,
 ceiling 5, window 1.2, windowsill 1.2, ledge 1.5, fireplace 1.5, mantel 1.6, hill 50, mountain 1000,
 rock 0.6, stone 0.3, log 2, branch 1.5, water 20, river 30, lake 100, sea 1000, ocean 1000, track 20,
 tracks 20, railroad 20, runway 100, court 20, sheet 2, bedspread 2, curb 5, path 20, crosswalk 8
elevated: umbrella 1, kite 1.2, balloon 0.3, flag 1.5, cloud 500, sun 1000, moon 1000, sky 1000,
 banner 2, curtain 2, blinds 1.5, painting 0.7, picture 0.5, poster 0.7, mirror 0.8, frame 0.5,
 picture frame 0.4, parachute 8, awning 3, canopy 3, power line 20, antenna 1, chimney 1.5,
 hat 0.3, cap 0.25, helmet 0.3, crown 0.2
food: banana 0.19, apple 0.08, sandwich 0.16, orange 0.08, broccoli 0.15, carrot 0.17, hot dog 0.18,
 donut 0.1, doughnut 0.1, bread 0.28, toast 0.11, bagel 0.11, bun 0.1, burger 0.11, hamburger 0.11,
 fries 0.1, cheese 0.12, egg 0.06, meat 0.18, steak 0.2, sausage 0.14, bacon 0.18, pear 0.09,
 peach 0.08, grape 0.02, grapes 0.15, strawberry 0.035, lemon 0.08, lime 0.06, tomato 0.08,
 potato 0.1, onion 0.08, pepper 0.1, lettuce 0.2, cabbage 0.2, cucumber 0.2, corn 0.2, mushroom 0.06,
 pumpkin 0.3, watermelon 0.3, pineapple 0.3, cookie 0.07, muffin 0.08, cupcake 0.07, croissant 0.15,
 pastry 0.1, candy 0.03, chocolate 0.12, ice cream 0.15, rice 0.15, pasta 0.2, noodles 0.2, salad 0.22,
 soup 0.2, sushi 0.05, taco 0.16, burrito 0.17, pancake 0.14, waffle 0.15, butter 0.1, avocado 0.1,
 kiwi 0.07, cherry 0.025, mango 0.12, melon 0.2, popcorn 0.2, chips 0.2, fruit 0.1, vegetable 0.15,
 coffee 0.1, tea 0.1, juice 0.15, milk 0.25, beer 0.2, wine 0.25, sauce 0.12, ketchup 0.2, snack 0.12
food support: pizza 0.33, cake 0.28, pie 0.26, birthday cake 0.3, wedding cake 0.5
front: book 0.24, magazine 0.28, newspaper 0.4, notebook 0.25, teddy bear 0.4, doll 0.3, toy 0.25,
 stuffed animal 0.35, teddy 0.4, figurine 0.15, face 0.24, head 0.25, door 2, gate 2.5, card 0.09,
 mask 0.25, sculpture 1, license plate 0.5, doll house 0.8, guitar 1, violin 0.6, shoe 0.28,
 sneaker 0.28, boot 0.3, shirt 0.7, jacket 0.7, coat 1, dress 1.1, glasses 0.14, sunglasses 0.14
none: tie 0.5, necktie 0.5, frisbee 0.27, skis 1.7, ski 1.7, ski pole 1.2, sports ball 0.22, ball 0.22,
 baseball 0.075, basketball 0.24, soccer ball 0.22, football 0.28, tennis ball 0.067, golf ball 0.043,
 volleyball 0.21, baseball bat 0.85, bat 0.85, baseball glove 0.3, glove 0.25, tennis racket 0.7,
 racket 0.7, racquet 0.7, net 5, fork 0.19, knife 0.22, spoon 0.18, chopsticks 0.23, spatula 0.3,
 ladle 0.3, scissors 0.18, toothbrush 0.18, toothpaste 0.18, comb 0.18, brush 0.2, broom 1.3, mop 1.3,
 shovel 1.2, rake 1.5, hammer 0.3, screwdriver 0.22, wrench 0.22, saw 0.5, axe 0.8, nail 0.05,
 screw 0.04, rope 2, chain 1, wire 1, hose 5, pen 0.14, pencil 0.18, marker 0.14, crayon 0.09,
 paper 0.3, tissue 0.2, toilet paper 0.12, soap 0.09, sponge 0.11, candle 0.15, flower 0.3, rose 0.4,
 bouquet 0.4, leaf 0.1, key 0.07, keys 0.08, coin 0.025, ring 0.02, necklace 0.4, bracelet 0.07,
 watch 0.25, belt 1, scarf 1.5, sock 0.25, hand 0.19, arm 0.7, leg 0.9, foot 0.26, tail 0.4, wheel 0.6,
 tire 0.65, wing 3, handle 0.12, button 0.02, stick 0.6, cane 0.9, crutch 1.2, oar 2, paddle 1.5,
 wand 0.3, sword 0.9, gun 0.2, rifle 1, bow 1.2, arrow 0.7, dart 0.15, dice 0.016, puzzle 0.4,
 sphere 0.06, pyramid 0.07, stapler 0.15, tape 0.1, ruler 0.3,
 eraser 0.05, faucet 0.25, tap 0.25, pipe 1, whistle 0.05, trophy 0.4, lid 0.2, cork 0.04,
 straw 0.2, lighter 0.08, cigarette 0.085, bone 0.2, feather 0.15, dumbbell 0.35, drum 0.5,
 trumpet 0.5, flute 0.66, remote car 0.3, drone 0.35, tongs 0.3, whisk 0.3, rolling pin 0.4, peg 0.08
"""  # noqa: E501

_ARTICLES: Final = frozenset({"the", "a", "an", "this", "that", "his", "her", "their", "its", "my"})
_AFTER_HEAD: Final = frozenset(
    {"of", "with", "in", "on", "at", "from", "for", "wearing", "holding", "that", "which", "near",
     "by", "and", "to", "behind", "under", "sitting", "standing", "who"}
)  # fmt: skip
_IRREGULAR: Final = {
    "men": "man", "women": "woman", "children": "child", "mice": "mouse", "knives": "knife",
    "geese": "goose", "feet": "foot", "leaves": "leaf", "shelves": "shelf",
    "bookshelves": "bookshelf", "oxen": "ox", "calves": "calf", "wolves": "wolf",
    "scarves": "scarf",
}  # fmt: skip


def attributes(phrases: Iterable[str | None]) -> NDArray[np.float32]:
    """What is known of each phrase: float32 (N, ``len(COLUMNS)``).

    The head noun decides ("a cup of coffee": cup; "red sports cars": car). NaN throughout where it
    is not in the table.

    >>> round(float(np.exp(attributes(["cup of coffee"])[0, COLUMNS.index("log_size")])), 2)
    0.11
    """
    unknown = np.full(len(COLUMNS), np.nan, dtype=np.float32)
    rows = [_of_phrase(phrase) if phrase else None for phrase in phrases]
    if not rows:
        return np.zeros((0, len(COLUMNS)), dtype=np.float32)
    return np.stack([unknown if row is None else row for row in rows])


class Knowledge(NamedTuple):
    """What is known of N things by name: four float32 arrays (N,), NaN where it is not known."""

    supports: NDArray[np.float32]
    """Probability that a thing can stand or lie on it, 0 to 1."""
    contains: NDArray[np.float32]
    """Probability that things can be in it, 0 to 1."""
    has_front: NDArray[np.float32]
    """Probability that it has a front of its own, 0 to 1."""
    log_size: NDArray[np.float32]
    """Natural logarithm of its typical longest side in metres."""


def knowledge(names: Sequence[str | None]) -> Knowledge:
    """What is known of each name or phrase; its head noun decides ("red wooden bowl": bowl).

    Nouns that a row was written for have that row's values. Those of other common English nouns are
    predicted (see ``docs/things.md``) and lie nearer the mean the less is known of words like them.
    Words of which nothing is known, or that say nothing ("object"), are NaN throughout. Give
    distinct names: each costs some microseconds the first time.

    >>> (knowledge(["red wooden bowl", "chalices", "object"]).contains > 0.8).tolist()
    [True, True, False]
    """
    rows = [_known(name) if name else None for name in names]
    if not rows:
        return Knowledge(*np.zeros((len(things.ATTRIBUTES), 0), dtype=np.float32))
    unknown = np.full(len(things.ATTRIBUTES), np.nan, dtype=np.float32)
    return Knowledge(*np.stack([unknown if row is None else row for row in rows], axis=1))


@cache
def hand_made() -> Mapping[str, NDArray[np.float32]]:
    """Every noun that a row was written for to its ``things.ATTRIBUTES``, 0 to 1 and log metres.

    >>> len(hand_made()) > len(nouns()), hand_made()["box"][:3].tolist()
    (True, [1.0, 1.0, 0.0])
    """
    columns = [COLUMNS.index(name) for name in ("support", "container", "front", "log_size")]
    rows = {noun: row[columns] for noun, row in _nouns().items()}
    for noun, more in things.by_hand().items():
        rows[noun] = np.where(np.isnan(more), rows.get(noun, more), more)
    return rows


def nouns() -> tuple[str, ...]:
    """Every noun that the table knows.

    >>> "dining table" in nouns()
    True
    """
    return tuple(_nouns())


@cache
def _nouns() -> Mapping[str, NDArray[np.float32]]:
    table: dict[str, NDArray[np.float32]] = {}
    for line in _TABLE.strip().replace("\n ", " ").splitlines():
        flags, _, listed = line.partition(":")
        has = flags.split()
        for entry in listed.split(","):
            noun, _, size = entry.strip().rpartition(" ")
            row = [float(name in has) for name in COLUMNS[:-1]]
            table[noun] = np.array([*row, np.log(float(size))], dtype=np.float32)
    return table


def _of_phrase(phrase: str) -> NDArray[np.float32] | None:
    table = _nouns()
    return next((table[noun] for noun in readings(phrase) if noun in table), None)


@lru_cache(maxsize=1 << 16)
def _known(name: str) -> NDArray[np.float32] | None:
    """What is known of a phrase: from the hand-made rows, else predicted."""
    may_name = list(readings(name))
    for noun in may_name:
        if noun in hand_made():
            return hand_made()[noun]
    predicted = things.predicted()
    for noun in may_name:
        if noun in predicted.row:
            row: NDArray[np.float32] = predicted.values[predicted.row[noun]]
            return row
    return None


def readings(phrase: str) -> Iterator[str]:
    """What a phrase may name, longest first: up to three words that end in its head noun.

    >>> list(readings("the big dish rack on a table"))
    ['big dish rack', 'dish rack', 'rack']
    """
    words = phrase.lower().replace("-", " ").replace("_", " ").split()
    while words and words[0] in _ARTICLES:
        words = words[1:]
    end = next((i for i, word in enumerate(words) if i and word in _AFTER_HEAD), len(words))
    head = words[:end]
    for start in range(max(0, end - 3), end):
        for last in _singular(head[-1]):
            yield " ".join([*head[start:-1], last])


def _singular(word: str) -> list[str]:
    """The word and what it may be the plural of."""
    forms = [word]
    if word in _IRREGULAR:
        forms.append(_IRREGULAR[word])
    if word.endswith("ies"):
        forms.append(f"{word[:-3]}y")
    if word.endswith("es"):
        forms.append(word[:-2])
    if word.endswith("s"):
        forms.append(word[:-1])
    return forms
