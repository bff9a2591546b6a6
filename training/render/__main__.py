from evaluation.cards.render import main

raise SystemExit(main())
