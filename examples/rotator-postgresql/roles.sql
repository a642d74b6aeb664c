-- One role that owns what the application has, and two users that act as it and take turns.
CREATE ROLE app_owner NOLOGIN;
CREATE ROLE app_a NOLOGIN IN ROLE app_owner;
CREATE ROLE app_b NOLOGIN IN ROLE app_owner;
ALTER ROLE app_a SET role = app_owner;
ALTER ROLE app_b SET role = app_owner;

-- Whom the rotator logs in as: it may change passwords, and is no superuser.
CREATE ROLE rotator LOGIN CREATEROLE;

CREATE DATABASE app OWNER app_owner;
