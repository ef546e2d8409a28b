r"""English words that can stand for each other in many sentences, and lists of one's own.

synonyms()["quick"]                      # ("fast", "rapid", "speedy", "swift")
read_synonyms("big large\ncar auto\n")   # {"big": ("large",), "large": ("big",), ...}

A group holds one form of its words, so that grammar stays: "begins" and "starts", never "begin" and
"starts". Words of many meanings (run, get, set) are left out.
"""

from collections.abc import Mapping
from functools import cache

Synonyms = Mapping[str, tuple[str, ...]]

_GROUPS = """
big large huge enormous
small little tiny
quick fast rapid speedy swift
quickly rapidly swiftly speedily
slow sluggish unhurried
slowly gradually unhurriedly
happy glad cheerful joyful pleased
happily gladly cheerfully
sad unhappy sorrowful gloomy
angry furious irate cross
scared afraid frightened fearful
brave courageous bold fearless
clever smart bright intelligent
stupid foolish silly dumb
funny amusing comical humorous hilarious
boring dull tedious dreary
bored uninterested
interesting engaging fascinating intriguing
beautiful lovely gorgeous
ugly unattractive hideous
good fine decent
great excellent superb wonderful terrific
better superior
best finest
bad poor lousy
awful terrible dreadful horrible
worst poorest
strange odd weird peculiar
famous renowned celebrated well-known
rich wealthy affluent
cheap inexpensive affordable
expensive costly pricey
clean spotless tidy
dirty filthy grimy
wet damp soaked
dry arid
cold chilly cool
hot scorching
loud noisy
quiet silent hushed
quietly silently
hard difficult tough
easy simple effortless
easily effortlessly readily
important significant crucial essential
useless worthless pointless
useful helpful handy
real genuine authentic
true accurate
wrong incorrect mistaken
whole entire complete
entirely completely wholly totally
nearly almost
often frequently
usually normally generally
rarely seldom
sometimes occasionally
always constantly
suddenly abruptly
immediately instantly
finally eventually
recently lately
perhaps maybe possibly
probably likely
certainly surely definitely
really truly genuinely
very extremely highly
enough sufficient
several various numerous
distant faraway remote
new recent
modern contemporary
old aged elderly
ancient antique
young youthful
strong powerful sturdy
weak feeble frail
tired weary exhausted
gentle caring
cruel brutal vicious
rude impolite
polite courteous
honest sincere truthful
shy timid bashful
lazy idle
calm peaceful serene
safe secure
dangerous risky hazardous
empty vacant
broken damaged
huge gigantic
thin slender slim
fat plump
delicious tasty
fresh crisp
crowded packed
man guy fellow
men guys fellows
woman lady
women ladies
child kid youngster
children kids youngsters
baby infant
boy lad
friend pal buddy
friends pals buddies
people folks
crowd throng
worker employee laborer
workers employees laborers
boss manager supervisor
doctor physician
doctors physicians
teacher instructor
teachers instructors
student pupil
students pupils
thief robber burglar
car automobile vehicle
cars automobiles vehicles
bike bicycle
bikes bicycles
street road
streets roads
house home
houses homes
shop store
shops stores
town city
picture image
pictures images
photo photograph
photos photographs
movie film picture
movies films pictures
story tale
stories tales
actor performer
actors performers
song tune melody
songs tunes melodies
job occupation profession
jobs occupations professions
trip journey
trips journeys
gifts presents
idea notion concept
ideas notions concepts
problem difficulty issue
problems difficulties issues
mistake error
mistakes errors
answer reply response
answers replies responses
question query
questions queries
goal aim objective
goals aims objectives
result outcome
results outcomes
part portion piece
parts portions pieces
top peak summit
edge rim border
rock stone
rocks stones
woods forest
sea ocean
dog hound
dogs hounds
cat feline
rabbit bunny
garbage trash rubbish
clothes garments clothing
hat cap
coat jacket
jacket coat
sofa couch
begin start commence
begins starts commences
began started commenced
beginning starting
ended finished concluded
buy purchase
buys purchases
bought purchased
buying purchasing
help assist aid
helps assists aids
helped assisted aided
helping assisting aiding
need require
needs requires
needed required
want wish
try attempt
tries attempts
tried attempted
trying attempting
ask inquire
asked inquired
says states
said stated
tell inform
think believe
thinks believes
thought believed
know realize
understand comprehend grasp
understood grasped
shows displays
showed displayed
showing displaying
look gaze stare
looks gazes stares
looked gazed stared
looking gazing staring
watched observed
watching observing
walk stroll
walks strolls
walked strolled
walking strolling
jump leap hop
jumps leaps hops
jumped leaped hopped
jumping leaping hopping
talk chat speak
talks chats speaks
talked chatted spoke
talking chatting speaking
shout yell scream
shouts yells screams
shouted yelled screamed
shouting yelling screaming
smile grin
smiles grins
smiled grinned
smiling grinning
cry weep sob
crying weeping sobbing
build construct erect
builds constructs erects
built constructed erected
building constructing
fix repair mend
fixes repairs mends
fixed repaired mended
fixing repairing mending
choose select pick
chooses selects picks
chose selected picked
keep retain
allow permit
allows permits
allowed permitted
stopped halted ceased
destroy ruin wreck
destroyed ruined wrecked
receive obtain
received obtained
gather collect
gathered collected
gathering collecting
hide conceal
hidden concealed
throw toss hurl
throws tosses hurls
threw tossed hurled
throwing tossing hurling
hold grip clutch
holds grips clutches
holding gripping clutching
enjoys likes
enjoyed liked
hate detest loathe
hates detests loathes
hated detested loathed
love adore
loves adores
loved adored
annoying irritating
surprising astonishing unexpected
surprised astonished amazed
exciting thrilling
"""


@cache
def synonyms() -> Synonyms:
    """The shipped words, each with those that can stand for it."""
    return read_synonyms(_GROUPS)


def read_synonyms(text: str) -> Synonyms:
    """Groups of words, one group a line, words parted by white space.

    A word that stands in several groups has the words of them all.
    """
    found: dict[str, dict[str, None]] = {}
    for line in text.splitlines():
        group = line.casefold().split()
        for word in group:
            others = (other for other in group if other != word)
            found.setdefault(word, {}).update(dict.fromkeys(others))
    return {word: tuple(others) for word, others in found.items() if others}
