INSERT INTO users (id, email, name, password) VALUES
    (1, 'ada@board.example', 'Ada', -- ada-demo
        '$argon2id$v=19$m=65536,t=2,p=1$WxGxOC5SdOm8BUhFEo+tQg$Wh443Mfh3fI8TqcErVC+T+SubEufS7arqOizx+SNZBM'),
    (2, 'ben@board.example', 'Ben', -- ben-demo
        '$argon2id$v=19$m=65536,t=2,p=1$HvP5wTiwf+Tep8+oXC5k2Q$WBAyFEdjSXQJBgpEGgKzGk5+OGCKyNLAlYW04qkPpME');

INSERT INTO notes (user_id, text) VALUES (1, 'Open this page twice, as two users, and pin something.');
