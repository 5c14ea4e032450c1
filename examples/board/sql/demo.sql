-- The passwords are on the sign-in page, so their hashes are the cheapest to check; those of people are not (crypto_pwhash_OPSLIMIT_INTERACTIVE).
INSERT INTO users (id, email, name, password) VALUES
    (1, 'ada@board.example', 'Ada', -- ada-demo
        '$argon2id$v=19$m=8192,t=1,p=1$ly8sgr61YUqFkc1uKVQGYQ$yHpULmSzPt1x/qdhqB1s17cdrO4ejMCtHbnEXGXPn+M'),
    (2, 'ben@board.example', 'Ben', -- ben-demo
        '$argon2id$v=19$m=8192,t=1,p=1$2sq5OupFIGXYLRUDL5SXnA$O65UvY7pCTqJrhd39bpZOqjlci40R3+Q1D+oC5eYveQ');

INSERT INTO notes (user_id, text) VALUES (1, 'Open this page twice, as two users, and pin something.');
