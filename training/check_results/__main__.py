from evaluation.check_results import main

raise SystemExit(main())
