"""What things can do for one another, by name: hand-made rows, and a table for the other nouns.

``priors.knowledge`` reads both. The hand-made rows add nouns, and say of those that
``priors.attributes`` knows where "can stand or lie on it" differs from what its columns say: a box
is a container, and things stand on boxes too. Levels between 0 and 1 are meant: now and then (0.3),
often (0.6).

The table ``things.npz`` holds what `pipelines/fit_things.py` predicts of other English nouns.

>>> by_hand()["toolbox"].tolist()[:2], "teaspoon" in predicted().row
([1.0, nan], True)
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

ATTRIBUTES: Final = ("supports", "contains", "has_front", "log_size")
"""A thing can stand or lie on it; things can be in it; it has a front of its own (probabilities);
natural logarithm of its typical longest side in metres."""

TABLE: Final = Path(__file__).with_name("things.npz")
UNKNOWN: Final = 255
"""What stands for "not known" in the table, where 0 to 254 run from LOWEST to HIGHEST."""
LOWEST: Final = np.array([0, 0, 0, -5], dtype=np.float32)
HIGHEST: Final = np.array([1, 1, 1, 8], dtype=np.float32)

# Nouns that `priors.attributes` knows, where this differs from its columns.
_ALSO: Final = """
supports 1: book, magazine, notebook, newspaper, paper, box, crate, carton, package, parcel, suitcase,
 luggage, briefcase, toolbox, case, barrel, cart, shopping cart, refrigerator, fridge, freezer,
 washing machine, washer, dryer, dishwasher, cube, cylinder, block, brick, skis, ski, wheelchair,
 ladder, tripod, easel, umbrella stand, bread, toast, cooker, cage, puzzle, drum
supports 0.6: fence, pole, post, column, tree, car, bus, train, truck, van, pickup, suv, tram, trailer,
 wagon, carriage, tractor, jeep, taxi, bulldozer, forklift, house, building, garage, shed, barn, hut,
 trash can, garbage can, bin, basket, bowl, pan, pot, frying pan, dish, casserole, stick, power line,
 rope, wire, hand, head, arm, leg, tire, pumpkin, planter, potted plant, stroller, sandwich,
 burger, hamburger, salad, waffle, pancake, steak, cookie, cupcake, fountain, envelope, card, bush,
 tv, television, aquarium, tank, drawer, bag, backpack, statue, hat, handle, wheel, laptop, tablet,
 trash bin, bucket, doghouse, mailbox, can, jar, remote, chimney
supports 0.3: person, man, woman, boy, girl, child, kid, baby, lady, guy, player, rider, people, adult,
 cow, bull, ox, bear, sheep, pig, dog, turtle, whale, dolphin, rice, pasta, noodles, soup, plant,
 flower, leaf, cup, mug, glass, jug, vase, sack, foot, keyboard, monitor, toaster, air conditioner,
 umbrella, street light, streetlight, lamppost, stop sign, sign, traffic light, fire hydrant, hydrant,
 parking meter, cone, helmet, hot dog, donut, jacket, coat, shirt, tail, tower, church, banner, nest
contains 1: water, river, lake, sea, ocean, sky, crib, tent, pocket, doll house
contains 0.6: bed, field, tree, bush, hand, net, bun, bagel, sandwich, taco, burrito, salad, soup,
 stroller, fireplace, fountain, picture, painting, poster, frame, picture frame, tower, bouquet, cloud,
 sauce, court, glove, doll, stand, rack, windmill, canopy, street, high chair, rice, pasta, noodles
contains 0.3: potted plant, plant, grass, sand, snow, chair, armchair, recliner, rocking chair, office chair, wheelchair,
 mirror, tv, television, screen, monitor, window, door, gate, tire, wheel, shoe, boot, sneaker, sock,
 hat, helmet, blanket, towel, burger, hamburger, hot dog, pancake, pie, cake, bread, road, path,
 parking meter, book, newspaper, napkin, platform, porch, goal, hill, mountain, beach, straw, pipe,
 hose, baseball glove, jacket, coat, shirt, blender, mixer, plate, drum, guitar, spoon, ladle
"""  # noqa: E501

# Nouns that `priors.attributes` does not know, with their typical longest side in metres.
_MORE: Final = """
supports contains front: golfcart 2.5, bookrack 1, hutch 1.8, credenza 1.5, armoire 2, buffet 1.5, vanity 1.2,
 filing cabinet 1.3, medicine cabinet 0.7, safe 0.6, trunk 1, bunk bed 2, bassinet 0.9, playpen 1.1,
 sofa bed 2, lunchbox 0.25, cooler 0.6, cash register 0.45, photocopier 1, scanner 0.45, copier 1,
 shoe rack 0.8, dollhouse 0.8, fire truck 8, lifeboat 5, gondola 9, houseboat 12, barge 40, tugboat 20,
 hearse 6, golf cart 2.5, wheelbarrow 1.4, sleigh 2.5, stagecoach 4, rickshaw 2.5
supports front: coatrack 1.8, dvd player 0.4, videogame console 0.3, television stand 1.2, pew 2.5, pulpit 1.2,
 lectern 1.2, altar 1.6, love seat 1.5, beanbag 0.9, lawn chair 0.9, folding chair 0.9, deck chair 1,
 car seat 0.7, seat 0.6, saddle 0.5, treadmill 1.8, exercise bike 1.2, bleachers 10, stage 8,
 album 0.3, textbook 0.26, encyclopedia 0.28, binder 0.32, dictionary 0.25, cookbook 0.27, tome 0.3, bible 0.22,
 booklet 0.2, checkbook 0.18, phonebook 0.28, passport 0.125
supports: hotplate 0.3, scale 0.3, shoulder 0.45, end table 0.6, bar stool 0.75, barstool 0.75, footstool 0.4, bedside table 0.5, pedestal 1,
 trestle 1.5, trivet 0.2, coaster 0.1, doormat 0.7, yoga mat 1.8, mousepad 0.25, mouse pad 0.25,
 bath mat 0.8, quilt 2, duvet 2, comforter 2, hammock 3, swing 1, seesaw 3, trampoline 3, slide 3,
 plank 2, beam 4, scaffold 6, balcony 4, patio 5, driveway 10, pavement 10, lawn 15, pier 40, wharf 50,
 jetty 30, island 500, cliff 50, railing 4, banister 3, doorstep 1, threshold 1, hearth 1.5, slab 1.5,
 escalator 12, ramp 4, chopping board 0.38, griddle 0.4, grill 1, hob 0.6, ironing board 1.3, dolly 1,
 clipboard 0.32, folder 0.32, cardboard 0.5, cloth 0.6, bandage 0.1, lap 0.4, back 0.5,
 tortilla 0.2, cracker 0.05, hay 1, haystack 3, straw bale 1, boulder 1.5, stump 0.6, tabletop 1.4,
 gravel 5, dirt 5, mud 5, soil 5, ice 5, asphalt 20, concrete 5, tile 0.3, parquet 4, mantelpiece 1.6
supports contains: washbasin 0.5, basin 0.4, trough 1.5, hot tub 2, jacuzzi 2, manger 1, litter box 0.5,
 baking tray 0.4, dustpan 0.3, egg carton 0.3, shoebox 0.33, cardboard box 0.5, gift 0.25, present 0.25,
 dumpster 2, hamper 0.6, laundry basket 0.6, picnic basket 0.4, tackle box 0.4, pizza box 0.35,
 cigarette pack 0.09, matchbox 0.05, casket 2, coffin 2, parking lot 50, garden 15, playground 20,
 nest box 0.3, skip 3, container 1, roasting pan 0.4, petri dish 0.1, stockpot 0.35, shopping trolley 1
contains front: elevator 2.2, lift 2.2, phone booth 2.2, jukebox 1.5, store 10, shop 8, restaurant 15,
 hotel 30, school 40, stadium 200, theater 30, castle 50, temple 25, cottage 9, cabin 7, greenhouse 6,
 kiosk 3, skyscraper 150, factory 60, hospital 60, birdhouse 0.25, cuckoo clock 0.4, birdcage 0.6,
 spaceship 30, rocket 40, submarine 60, glider 15, seaplane 10, hovercraft 15, fishbowl 0.3, pants 1,
 jeans 1, trousers 1, shorts 0.5, sweater 0.7, hoodie 0.7
contains: salt shaker 0.08, saltshaker 0.08, pepper shaker 0.08, pepper mill 0.2, shaker 0.15, birdfeeder 0.3,
 teacup 0.09, goblet 0.18, beaker 0.15, tumbler 0.14, wineglass 0.2, decanter 0.3, carafe 0.28,
 coffeepot 0.25, coffee pot 0.25, creamer 0.1, sugar bowl 0.12, gravy boat 0.2, urn 0.4, wok 0.35, skillet 0.4,
 pressure cooker 0.35, cauldron 0.5, colander 0.28, strainer 0.2, sieve 0.2, pail 0.3, watering can 0.4,
 soap dispenser 0.18, pencil case 0.2, pencil cup 0.1, pill bottle 0.08, vial 0.05, test tube 0.15,
 tote 0.4, duffel bag 0.6, satchel 0.35, holster 0.25, quiver 0.6, sleeping bag 2, cocoon 0.05,
 bird feeder 0.3, piggy bank 0.15, wastebasket 0.35, recycling bin 0.6, gas can 0.4, thermos bottle 0.28,
 candle holder 0.15, candlestick 0.25, ice bucket 0.25, dispenser 0.25, silo 15,
 well 1.5, hole 0.5, tunnel 30, cave 10, corner 1, hallway 6, bedroom 4, living room 5,
 alley 10, forest 200, woods 200, park 100, crowd 10, bundle 0.4, bunch 0.3, pile 0.5, puddle 1,
 pond 10, stream 10, seat belt 1, plastic bag 0.4, paper bag 0.35, ziplock bag 0.2
front: thermostat 0.12, light switch 0.1, switch 0.1, outlet 0.1, power outlet 0.1, doorbell 0.08,
 alarm clock 0.12, wristwatch 0.04, stopwatch 0.06, scoreboard 5, whiteboard 1.8, blackboard 2.5,
 chalkboard 2, bulletin board 1.2, calendar 0.4, map 0.8, photograph 0.15, photo 0.15,
 dashboard 1.4, windshield 1.4, headlight 0.3, binoculars 0.18, telescope 1, megaphone 0.35, barcode 0.05,
 postcard 0.15, stamp 0.025, poster board 0.8, gravestone 0.9, tombstone 0.9, scarecrow 1.7, mannequin 1.75,
 puppet 0.35, goggles 0.17, spectacles 0.14, bib 0.3, apron 0.9, vest 0.65, suit 1, blouse 0.65, bra 0.35,
 skirt 0.6, sandal 0.27, slipper 0.27, flip flop 0.27, high heels 0.24, violinist 1.7, policeman 1.75,
 waiter 1.75, nurse 1.7, soldier 1.75, fireman 1.75, bride 1.65, groom 1.75, bicyclist 1.7, cyclist 1.7,
 remote controller 0.18, saxophone 0.7, cello 1.2, harp 1.7, banjo 0.95, accordion 0.45, smoke detector 0.12
none: money 0.15, dollar 0.15, banknote 0.15, penny 0.02, receipt 0.15, award 0.3, buoy 1, ax 0.8,
 control 0.18, triangle 0.1, dishtowel 0.6, keycard 0.09, nailfile 0.15, bottle cap 0.03, bottle opener 0.15, can opener 0.18, corkscrew 0.14, grater 0.23, peeler 0.17,
 toothpick 0.065, paper towel 0.28, tea towel 0.7, dishcloth 0.3, washcloth 0.3, dishrag 0.3, mitten 0.25,
 oven mitt 0.3, shower head 0.15, showerhead 0.15, shower curtain 1.8, towel bar 0.6, hook 0.06, hanger 0.42,
 clothespin 0.08, paper clip 0.03, paperclip 0.03, rubber band 0.06, pushpin 0.025, thumbtack 0.01,
 safety pin 0.04, needle 0.05, thread 0.5, yarn 0.3, string 1, ribbon 0.6, glue 0.12, highlighter 0.14,
 paintbrush 0.25, chalk 0.08, pliers 0.2, chisel 0.22, hacksaw 0.4, crowbar 0.7, bolt 0.05, nut 0.02,
 spring 0.05, gear 0.1, battery 0.05, plug 0.05, adapter 0.08, headset 0.18, earphone 0.03, earring 0.03,
 razor 0.14, shaver 0.16, tweezers 0.09, lipstick 0.07, perfume 0.1, hairbrush 0.22, hairpin 0.05,
 shampoo 0.2, lotion 0.18, deodorant 0.13, dental floss 0.06, pill 0.01, syringe 0.13, thermometer 0.13,
 stethoscope 0.7, crutches 1.2, walking stick 0.9, leash 1.5, collar 0.35, fishing rod 2, anchor 1,
 hockey stick 1.5, golf club 1, tennis net 12, bowling ball 0.22, shuttlecock 0.07, hula hoop 0.9,
 knee pad 0.2, flipper 0.6, snorkel 0.4, life jacket 0.6, bullet 0.03, pistol 0.2, dagger 0.3, spear 2,
 shield 0.7, torch 0.4, lantern 0.3, match 0.05, firework 0.4, flame 0.2, smoke 2, shadow 1.5,
 seed 0.005, acorn 0.025, walnut 0.04, almond 0.02, peanut 0.03, bean 0.012, pea 0.008, raisin 0.01,
 blueberry 0.012, raspberry 0.02, olive 0.02, garlic 0.06, ginger 0.1, celery 0.3, asparagus 0.2,
 eggplant 0.2, zucchini 0.2, cauliflower 0.18, spinach 0.2, radish 0.04, plum 0.05, apricot 0.05,
 coconut 0.15, date 0.04, fig 0.05, honey 0.1, jam 0.1, yogurt 0.1, cereal 0.2, sugar 0.1, salt 0.08,
 mustard 0.18, mayonnaise 0.15, syrup 0.2, lollipop 0.12, gum 0.07, marshmallow 0.03, pickle 0.1,
 shrimp 0.08, crab 0.2, lobster 0.4, squid 0.3, meatball 0.04, omelet 0.2, lasagna 0.25, tofu 0.1,
 vine 3, fern 0.7, daisy 0.1, tulip 0.4, sunflower 1.5, cactus 0.5, seashell 0.06,
 starfish 0.2, pebble 0.04, snowball 0.08, icicle 0.4, tooth 0.02, ear 0.06, nose 0.05, eye 0.03,
 finger 0.08, hair 0.3, beard 0.15, neck 0.15, knee 0.12, paw 0.08, horn 0.4, antler 0.8, beak 0.05,
 doorknob 0.07, hinge 0.1, knob 0.04, lock 0.08, padlock 0.08, bell 0.15, magnet 0.04, sticker 0.06,
 confetti 0.01, cap gun 0.18, yoyo 0.06, top 0.06, marble 0.016, domino 0.05, rattle 0.12, pacifier 0.06
"""  # noqa: E501


class Predicted(NamedTuple):
    """The table of predicted nouns."""

    row: Mapping[str, int]
    values: NDArray[np.float32]
    """(nouns, ``len(ATTRIBUTES)``), NaN where an attribute cannot be predicted."""


@cache
def by_hand() -> Mapping[str, NDArray[np.float32]]:
    """Noun to its attributes, as written here; NaN where ``priors.attributes`` has the value.

    >>> more = by_hand()["bar stool"]
    >>> more[0].item(), round(float(np.exp(more[3])), 2)
    (1.0, 0.75)
    """
    rows: dict[str, NDArray[np.float32]] = {}
    for flags, listed in _lines(_MORE):
        for entry in listed:
            noun, _, size = entry.rpartition(" ")
            has = [f"{name}".removeprefix("has_") in flags.split() for name in ATTRIBUTES[:3]]
            rows[noun] = np.array([*has, np.log(float(size))], dtype=np.float32)
    for head, listed in _lines(_ALSO):
        name, level = head.split()
        for noun in listed:
            row = rows.setdefault(noun, np.full(len(ATTRIBUTES), np.nan, dtype=np.float32))
            row[ATTRIBUTES.index(name)] = float(level)
    return rows


@cache
def predicted() -> Predicted:
    """What the shipped table says of nouns that nobody wrote a row for."""
    with np.load(TABLE, allow_pickle=False) as stored:
        names = stored["nouns"].tobytes().decode().split("\n")
        levels = stored["levels"]
    return Predicted({name: row for row, name in enumerate(names)}, from_levels(levels))


def write(path: Path, names: list[str], values: NDArray[np.float32]) -> None:
    """Write such a table, a byte a value: probabilities to 0.004, sizes to 5 percent."""
    as_text = np.frombuffer("\n".join(names).encode(), dtype=np.uint8)
    np.savez_compressed(path, nouns=as_text, levels=to_levels(values))


def to_levels(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Values as bytes."""
    share = (np.clip(values, LOWEST, HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
    return np.where(np.isnan(share), UNKNOWN, np.rint(share * (UNKNOWN - 1))).astype(np.uint8)


def from_levels(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes as values.

    >>> from_levels(np.array([[254, 0, 255, 0]], dtype=np.uint8)).tolist()
    [[1.0, 0.0, nan, -5.0]]
    """
    share = levels.astype(np.float32) / np.float32(UNKNOWN - 1)
    return np.where(levels == UNKNOWN, np.float32(np.nan), LOWEST + share * (HIGHEST - LOWEST))


def _lines(text: str) -> list[tuple[str, list[str]]]:
    lines = (line.partition(":") for line in text.strip().replace("\n ", " ").splitlines())
    return [(head, [entry.strip() for entry in rest.split(",")]) for head, _, rest in lines]
