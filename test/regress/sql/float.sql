-- Text of floats, cube roots, pictures of what is not finite.
select 2593556.25::float4, 27511.5625::float4, 352172.625::float4, 3.4028235e38::float4, 1e-45::float4, 1.1754944e-38::float4, 8388608::float4, 16777216::float4, 9.8607613e-32::float4;
select 3.4028235e38::float4::text::float4;
set extra_float_digits = 0;
select 2593556.25::float4, 0.15::float4, 2.5::float8 / 3, 123456789012345.5::float8, 1234567.5::float4;
set extra_float_digits = -3;
select 2593556.25::float4, 0.15::float4, 2.5::float8 / 3, 123456789012345.5::float8, 0.5::float8;
reset extra_float_digits;
select cbrt(x), x from unnest(array[27,2,3,8,64,125,1e10,1e-10,0.001,1e300,5e-324,-27,1000,1e18,7,'inf','-inf','nan',0,-0.0]::float8[]) x;
select f, to_char('inf'::float8, f), to_char('-inf'::float8, f), to_char('nan'::float8, f) from unnest(array['999.9','9','9.99EEEE','RN','FM999','S999','999S','999PR','MI99','SG99','FM9.9','99V9','0000000000','FM0000000000','99999999999.99','"x"99','B99','L9','9,999']) f;
select to_char('inf'::float4, f), to_char('-inf'::float4, f) from unnest(array['999.9','9','9.99EEEE','999PR','0000000000','99999999999.99']) f;
select to_char('inf'::numeric, f), to_char('-inf'::numeric, f), to_char('nan'::numeric, f) from unnest(array['999.9','9','9.99EEEE','FM999','S999','999S','999PR','MI99','SG99','FM9.9','99V9','0000000000','99999999999.99','"x"99','B99','L9','9,999']) f;
select to_char(2.5e0::float8, '9EEEE'), to_char(0.125::float8,'9.99EEEE'), to_char(12345.675::float8,'99999.99'), to_char(1e15::float8,'9999999999999999.99');
select setseed(0.5) is null, pg_sleep(0) is null, pg_sleep(0)::text = '', setseed(null) is null;
