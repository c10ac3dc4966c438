# The rows of Tables 2 to 4 of the paper, one value each. 'default' is what the config says.
#
# components  Table 2. 'baseline' and 'ars' are one network under plain cross entropy on the pseudo masks (the paper
#             does not say whether one or three). With model.num_networks=3 beside it: three that never meet.
# omega       Table 3. 'none' is N/A with the relation (SRM), which all other rows have too, so that the
#             vote alone is missing. The number printed beside N/A is that of the row without SRM: 'cross_entropy'.
# relation    Table 4. 'none' keeps the vote (SWV), as all other rows do. The number printed beside CE is that of
#             the row without SWV: 'cross_entropy'. CRL is one of crl_joint and crl_correlation; the
#             paper does not say which.
#
# So omega=cross_entropy, relation=cross_entropy and components=ars are one cell, and so are relation=none and
# components=ars_swv, omega=none and components=ars_srm.
cross_entropy = {
    'model.num_networks': 1,
    'model.swv.enabled': False,
    'model.srm.enabled': False,
    'model.lambda_': 0.0,
}

components_choices = {
    'default': {},
    'baseline': {'classifier.model.neck.enabled': False, **cross_entropy},
    'ars': {'classifier.model.neck.enabled': True, **cross_entropy},
    'ars_swv': {
        'classifier.model.neck.enabled': True,
        'model.swv.enabled': True,
        'model.srm.enabled': False,
    },
    'ars_srm': {
        'classifier.model.neck.enabled': True,
        'model.swv.enabled': False,
        'model.srm.enabled': True,
    },
    'full': {
        'classifier.model.neck.enabled': True,
        'model.swv.enabled': True,
        'model.srm.enabled': True,
    },
}
components = 'default'

omega_choices = {
    'default': {},
    'none': {'model.swv.enabled': False},
    'cross_entropy': cross_entropy,
    '1': {'model.swv.enabled': True, 'model.swv.omega': 1},
    '2': {'model.swv.enabled': True, 'model.swv.omega': 2},
    '3': {'model.swv.enabled': True, 'model.swv.omega': 3},
    '5': {'model.swv.enabled': True, 'model.swv.omega': 5},
    'drop': {'model.swv.enabled': True, 'model.swv.omega': 'drop'},
}
omega = 'default'

relation_choices = {
    'default': {},
    'none': {'model.srm.enabled': False},
    'cross_entropy': cross_entropy,
    'kl': {'model.srm.enabled': True, 'model.srm.relation': 'kl'},
    'crl_joint': {'model.srm.enabled': True, 'model.srm.relation': 'crl_joint'},
    'crl_correlation': {'model.srm.enabled': True, 'model.srm.relation': 'crl_correlation'},
    'point': {'model.srm.enabled': True, 'model.srm.relation': 'point'},
    'structure': {'model.srm.enabled': True, 'model.srm.relation': 'structure'},
}
relation = 'default'

# Only a name for this file.
del cross_entropy
