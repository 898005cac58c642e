"""Words that titles and people of the generated world are named with."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NOUNS = {
    "Mystery": _words("Harbour Witness Key Alibi Cellar Letter Ledger Attic Clue Portrait"),
    "Comedy": _words("Uncle Wedding Waiter Parrot Landlord Picnic Understudy Umbrella Reunion Cake"),
    "Science Fiction": _words("Orbit Signal Colony Machine Comet Airlock Moon Clone Beacon Engine"),
    "Romance": _words("Promise Summer Kiss Garden Waltz Balcony Stranger Postcard Vineyard Heart"),
    "Fantasy": _words("Dragon Crown Tower Spell Kingdom Oracle Sword Gate Raven Forest"),
    "Western": _words("Saddle Canyon Sheriff Railway Outlaw Ranch Revolver Frontier Stagecoach Mesa"),
    "Horror": _words("Cradle Basement Mirror Lullaby Scarecrow Well Fog Doll Crypt Shadow"),
    "History": _words("Regent Siege Treaty Empire Caravan Cathedral Revolt Armada Scribe Plague"),
    "Travel": _words("Island Ferry Summit Market Desert Lagoon Train Border Monsoon Lighthouse"),
    "Music": _words("Fiddle Chorus Encore Drummer Ballad Organ Rehearsal Vinyl Nocturne Trumpet"),
    "Sport": _words("Champion Relay Goalkeeper Marathon Regatta Referee Final Derby Sprint Underdog"),
    "Nature": _words("Glacier Otter Meadow Reef Heron Savannah Volcano Migration Orchard Tide"),
}

GENRES = tuple(NOUNS)

#: For genres that are not among the above.
OTHER_NOUNS = _words("Hour Road House River Season Window Night Voyage Story Bridge")

ADJECTIVES = _words(
    "Silent Crooked Golden Hidden Broken Distant Velvet Hollow Burning Patient Stolen Quiet Scarlet Wandering "
    "Frozen Gentle Last Midnight Borrowed Restless Copper Forgotten Early Painted Salted Second Unlikely Winding "
    "Honest Northern Amber Careless Faithful Paper Rusty Singing Tall Uncertain Wild Young"
)

PLACES = (
    "", " of Lisbon", " in Winter", " of the Valley", " by the Sea", " of Samarkand", " in the Rain",
    " of the North", " at Dawn", " of Trieste", " in Exile", " of the Marshes", " on the Hill",
    " of Valparaiso", " at Noon", " in Autumn",
)  # fmt: skip

FIRST_NAMES = _words(
    "Ada Amir Bela Carla Chen Dara Elif Emil Fatou Finn Gita Hana Hugo Ines Ivan Jana Joao Kaja Kofi Lena Luca "
    "Maya Milan Nadia Nils Olga Omar Paula Pavel Qi Rosa Ravi Sara Sven Tara Tomas Uma Vera Wanda Yuki"
)

LAST_NAMES = _words(
    "Abe Adler Bianchi Brandt Castro Costa Diaz Diop Eriksen Faber Fischer Garcia Gruber Haas Horvat Ivanov "
    "Jansen Jung Kaya Keller Kim Kovacs Lang Lopez Malik Moreau Moreno Nagy Novak Okafor Olsen Park Petrov Quist "
    "Reyes Rossi Sato Silva Singh Tanaka Urban Vidal Virtanen Weber Wolf Yilmaz Zhang Zuber"
)
